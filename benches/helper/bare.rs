//! What the HTTP library alone can do: a handler that reads the body and answers a
//! constant.

use actix_web::{App, HttpResponse, HttpServer, web};

const MAX_BODY: usize = 16 << 20;

/// Serves until the process ends.
pub fn serve(bytes: u32) {
    // As long as asked for, with its quotation marks.
    let body = format!("\"{}\"", "x".repeat((bytes as usize).saturating_sub(2)));
    let body = web::Bytes::from(body);
    actix_web::rt::System::new().block_on(async move {
        let app = move || {
            let body = body.clone();
            let answer = move |_request: web::Bytes| {
                let body = body.clone();
                async move {
                    HttpResponse::Ok()
                        .content_type("application/json")
                        .body(body)
                }
            };
            App::new()
                .app_data(web::PayloadConfig::new(MAX_BODY))
                .default_service(web::to(answer))
        };
        let server = HttpServer::new(app)
            .backlog(4096)
            .bind("127.0.0.1:0")
            .expect("an address");
        println!("{}", server.addrs()[0].port());
        server.run().await.expect("a server");
    });
}
