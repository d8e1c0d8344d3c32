//! Concurrent requests, on two instances that share a database (SEC-24).

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Answer, Api, TestServer, fresh_address};

/// Two instances on one database, and `n` clients that alternate between them.
fn two_instances(n: usize) -> (TestServer, TestServer, Vec<Api>) {
    let one = TestServer::start(|_| {});
    let other = TestServer::start(|settings| {
        settings.database.url = Some(one.database.url.clone().into());
    });
    let apis = [one.api(), other.api()];
    let clients = apis.iter().cycle().take(n).cloned().collect();
    (one, other, clients)
}

/// SEC-24, BND-09
#[actix_web::test]
async fn concurrent_binds_leave_one_row() {
    let (one, other, clients) = two_instances(16);
    let session = one.validate(&fresh_address("race")).await;
    let binds = clients.iter().enumerate().map(async |(n, api)| {
        let mxid = format!("@user{n}:example.org");
        api.bind(&session.sid, "secret", &mxid).await.ok()
    });
    let bound = join_all(binds).await;
    assert_eq!(one.database.count("associations"), 1);
    let found = one.api().lookup("email", &session.address).await.ok();
    assert!(bound.contains(&found), "{found}");
    assert_eq!(
        other.api().lookup("email", &session.address).await.ok(),
        found
    );
    let pairs = json!([["email", session.address]]);
    assert_eq!(
        other.api().bulk_lookup(pairs).await.ok(),
        json!({"threepids": [["email", session.address, found["mxid"]]]})
    );
}

/// SEC-24, SES-09, SES-10
#[actix_web::test]
async fn concurrent_requests_send_one_mail() {
    let (one, _other, clients) = two_instances(16);
    let address = fresh_address("race");
    let spellings = [address.clone(), address.to_uppercase()];
    let requests = clients.iter().zip(spellings.iter().cycle());
    let calls = requests.map(async |(api, spelling)| {
        let answer = api.request_token(spelling, "secret", 1).await.ok();
        answer["sid"].as_str().unwrap().to_owned()
    });
    let sids: HashSet<_> = join_all(calls).await.into_iter().collect();
    assert_eq!(sids.len(), 1);
    assert_eq!(one.database.count("validation_sessions"), 1);
    let mails = one.mails_sent(&address).await;
    assert_eq!(mails.len(), 1);
    assert!(sids.contains(&mails[0].parameter("sid")));
}

/// SEC-24, SES-19
#[actix_web::test]
async fn concurrent_wrong_tokens_are_all_counted() {
    let (one, _other, clients) = two_instances(30);
    let (sid, mail) = one.request_mail(&fresh_address("race"), "secret").await;
    let guesses = clients
        .iter()
        .map(async |api| api.submit_token(&sid, "secret", "wrong").await);
    let answers = join_all(guesses).await;
    let count = |errcode: &str| {
        let has_errcode = |answer: &&Answer| answer.json()["errcode"] == errcode;
        answers.iter().filter(has_errcode).count()
    };
    assert_eq!(
        (count("M_TOKEN_INCORRECT"), count("M_SESSION_EXPIRED")),
        (10, 20)
    );
    one.api()
        .submit_token(&sid, "secret", &mail.token())
        .await
        .refused(400, "M_SESSION_EXPIRED");
}

/// SEC-24, SES-19
#[actix_web::test]
async fn correct_token_among_wrong_wins_or_expires() {
    let (one, _other, clients) = two_instances(20);
    for _ in 0..4 {
        let (sid, mail) = one.request_mail(&fresh_address("race"), "secret").await;
        let right = mail.token();
        let submissions = clients.iter().enumerate().map(async |(n, api)| {
            let token = if n == 10 { &right } else { "wrong" };
            api.submit_token(&sid, "secret", token).await
        });
        let answers = join_all(submissions).await;
        let validated = one.api().get_validated(&sid, "secret").await;
        if answers[10].status == 200 {
            validated.ok();
        } else {
            answers[10].refused(400, "M_SESSION_EXPIRED");
            validated.refused(400, "M_SESSION_EXPIRED");
        }
        let others = answers.iter().enumerate().filter(|(n, _)| *n != 10);
        assert!(others.into_iter().all(|(_, answer)| answer.status == 400));
    }
}
