//! The tables, as both databases have them.

diesel::table! {
    validation_sessions (sid) {
        sid -> Text,
        medium -> Text,
        address -> Text,
        client_secret -> Text,
        token -> Text,
        next_link -> Nullable<Text>,
        send_attempt -> Nullable<BigInt>,
        created_at -> BigInt,
        validated_at -> Nullable<BigInt>,
        wrong_tokens -> Integer,
        superseded -> Integer,
        hashed -> Bool,
    }
}

diesel::table! {
    associations (id) {
        id -> BigInt,
        medium -> Text,
        address -> Text,
        origin -> Text,
        mxid -> Text,
        ts -> BigInt,
        not_before -> BigInt,
        not_after -> BigInt,
        lookup_hash -> Text,
        signed -> Text,
        other_form -> Nullable<Text>,
        other_hash -> Nullable<Text>,
        number -> BigInt,
        second_hash -> Nullable<Text>,
        second_other_hash -> Nullable<Text>,
        stated_ts -> Nullable<BigInt>,
    }
}

diesel::table! {
    association_removals (address, medium, origin) {
        medium -> Text,
        address -> Text,
        origin -> Text,
        number -> BigInt,
        ts -> BigInt,
        stated_ts -> Nullable<BigInt>,
    }
}

diesel::table! {
    lookup_peppers (id) {
        id -> BigInt,
        pepper -> Text,
        created_at -> BigInt,
        slot -> Integer,
        is_ready -> Bool,
        hashed_to -> BigInt,
        answered_until -> BigInt,
    }
}

diesel::table! {
    ephemeral_keys (public_key) {
        public_key -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    outbox (id) {
        id -> Text,
        kind -> Text,
        payload -> Text,
        subject -> Text,
        send_attempt -> BigInt,
        previous_attempt -> Nullable<BigInt>,
        limits -> Text,
        tries -> Integer,
        created_at -> BigInt,
        due_at -> BigInt,
        answer_until -> BigInt,
        expires_at -> BigInt,
        affinity_instance -> Text,
        lease_owner -> Text,
        lease_until -> BigInt,
        acknowledged -> Bool,
    }
}

// The rest of the same table: diesel's features here allow 16 columns.
diesel::table! {
    #[sql_name = "outbox"]
    outbox_failures (id) {
        id -> Text,
        last_failure -> Text,
    }
}

diesel::table! {
    send_limits (counted) {
        counted -> Text,
        paid_until -> BigInt,
    }
}

diesel::table! {
    accounts (user_id) {
        user_id -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    access_tokens (token_hash) {
        token_hash -> Text,
        user_id -> Text,
        created_at -> BigInt,
        last_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    blocked_accounts (blocked) {
        blocked -> Text,
        blocked_at -> BigInt,
    }
}

diesel::table! {
    accepted_terms (user_id, url) {
        user_id -> Text,
        url -> Text,
        accepted_at -> BigInt,
    }
}

diesel::table! {
    invites (id) {
        id -> BigInt,
        token -> Text,
        medium -> Text,
        address -> Text,
        room_id -> Text,
        sender -> Text,
        key_id -> Text,
        ephemeral_key -> Text,
        created_at -> BigInt,
        delivered_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    association_journal (id) {
        id -> BigInt,
        medium -> Text,
        address -> Text,
        removed_at -> Nullable<BigInt>,
        restates -> Bool,
    }
}

diesel::table! {
    replication_peers (name) {
        name -> Text,
        sent_id -> BigInt,
        sent_at -> Nullable<BigInt>,
        received_at -> Nullable<BigInt>,
        tries -> Integer,
        last_error -> Nullable<Text>,
        due_at -> BigInt,
        lease_owner -> Text,
        lease_until -> BigInt,
        skipped -> BigInt,
        skipped_number -> Text,
        compares -> Nullable<Bool>,
    }
}

diesel::table! {
    ignored_statements (address, medium, origin) {
        medium -> Text,
        address -> Text,
        origin -> Text,
        ignored_at -> BigInt,
    }
}

diesel::table! {
    server_identity (name) {
        name -> Text,
    }
}

diesel::table! {
    database_keys (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    erasures (subject) {
        subject -> Text,
        ts -> BigInt,
        erased_at -> BigInt,
        journal_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    imports (at) {
        at -> BigInt,
    }
}

diesel::table! {
    pending_rewrites (id) {
        id -> BigInt,
        requested_at -> BigInt,
        is_rewritten -> Bool,
    }
}

diesel::table! {
    person_audit (id) {
        id -> BigInt,
        at -> BigInt,
        action -> Text,
        subject -> Text,
        affected -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    accounts,
    access_tokens,
    accepted_terms,
    blocked_accounts
);
diesel::allow_tables_to_appear_in_same_query!(
    association_journal,
    association_removals,
    associations
);
