//! Days on which the mail relay is dead, slow, refusing or not to be trusted.
