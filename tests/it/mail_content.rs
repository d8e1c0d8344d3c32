//! What a mail is made of (section 21).
