//! How do Google, HubSpot and Salesforce behave? Their settings, and the rules these come down to.

use super::{Rotation, Rules};

/// Settings of the Google profile: a refresh token comes once, for whoever asks for offline access, and stays.
#[derive(Clone, Debug)]
pub struct Google {
    /// Seconds an access token lives.
    pub lifetime_s: u64,
    /// How many grants a user may have with a client.
    pub grants: usize,
}

impl Default for Google {
    fn default() -> Self {
        Self { lifetime_s: 3599, grants: 100 }
    }
}

impl Google {
    pub(super) fn rules(&self) -> Rules {
        Rules {
            lifetime_s: Some(self.lifetime_s),
            refreshable: true,
            repeats_refresh_token: false,
            rotation: Rotation::None,
            cap: Some(self.grants),
            ..Rules::permanent("ya29.", "1//")
        }
    }
}

/// Settings of the HubSpot profile: the same refresh token comes with every answer.
#[derive(Clone, Debug)]
pub struct Hubspot {
    /// Seconds an access token lives.
    pub lifetime_s: u64,
}

impl Default for Hubspot {
    fn default() -> Self {
        Self { lifetime_s: 1800 }
    }
}

impl Hubspot {
    pub(super) fn rules(&self) -> Rules {
        Rules {
            lifetime_s: Some(self.lifetime_s),
            refreshable: true,
            rotation: Rotation::None,
            ..Rules::permanent("", "")
        }
    }
}

/// Settings of the Salesforce profile: no answer names a lifetime, introspection does.
#[derive(Clone, Debug)]
pub struct Salesforce {
    /// Seconds a session of the org lasts.
    pub session_s: u64,
    /// Whether the app rotates refresh tokens.
    pub rotates: bool,
    /// How many grants a user may have with an app.
    pub grants: usize,
}

impl Default for Salesforce {
    fn default() -> Self {
        Self { session_s: 7200, rotates: false, grants: 5 }
    }
}

impl Salesforce {
    pub(super) fn rules(&self, scope: &[String]) -> Rules {
        Rules {
            lifetime_s: Some(self.session_s),
            refreshable: scope.iter().any(|s| s == "refresh_token" || s == "offline_access"),
            repeats_refresh_token: false,
            rotation: if self.rotates { Rotation::SingleUse } else { Rotation::None },
            cap: Some(self.grants),
            ..Rules::permanent("00D!", "5Aep")
        }
    }
}
