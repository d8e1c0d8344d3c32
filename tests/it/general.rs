//! What holds for every answer: JSON, errors, CORS, methods (section 1).
