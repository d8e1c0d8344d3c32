// Signatures of JSON, checked without any of the server's code.

import { createPublicKey, verify } from "node:crypto";

export function isSignedBy({ signatures, unsigned, ...signed }, name, keyId, publicKey) {
    const x = Buffer.from(publicKey, "base64").toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    const signature = Buffer.from(signatures[name][keyId], "base64");
    return verify(null, Buffer.from(canonical(signed)), key, signature);
}

function canonical(value) {
    if (Array.isArray(value)) {
        return `[${value.map(canonical).join(",")}]`;
    }
    if (value === null || typeof value !== "object") {
        return JSON.stringify(value);
    }
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}
