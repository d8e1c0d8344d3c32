// The part of a homeserver that the SDK needs: it lets its user join any room, and
// records the proof. The part that the identity server calls is in
// tests/it/harness/homeserver.rs.

import { createServer } from "node:http";

export async function startHomeserver() {
    const joins = [];
    const server = createServer((request, response) => {
        let body = "";
        request.on("data", (chunk) => (body += chunk));
        request.on("end", () => {
            const room = /\/_matrix\/client\/v3\/join\/([^?]+)/.exec(request.url)?.[1];
            response.setHeader("Content-Type", "application/json");
            if (!room) {
                response.statusCode = 404;
                response.end('{"errcode": "M_UNRECOGNIZED", "error": "Not needed here"}');
                return;
            }
            joins.push({ room: decodeURIComponent(room), ...JSON.parse(body) });
            response.end(JSON.stringify({ room_id: decodeURIComponent(room) }));
        });
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    return {
        url: `http://127.0.0.1:${server.address().port}`,
        joins,
        stop: () => server.close(),
    };
}
