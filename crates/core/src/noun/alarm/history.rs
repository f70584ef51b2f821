//! What an alarm's history tells.
//!
//! Owns the shape of its items. They are facts, not texts: the JSON that AWS shows is made of them where they are shown. How long
//! they are kept is [`crate::world::alarms`]'s.

use serde::{Deserialize, Serialize};

use super::{AlarmSettings, AlarmState};
use crate::name::AlarmName;
use crate::time::Timestamp;

/// What of an alarm's life is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// It was put or deleted.
    ConfigurationUpdate,
    /// It went from one state to another.
    StateUpdate,
    /// It did something.
    Action,
}

impl HistoryKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ConfigurationUpdate, Self::StateUpdate, Self::Action];

    /// CloudWatch's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigurationUpdate => "ConfigurationUpdate",
            Self::StateUpdate => "StateUpdate",
            Self::Action => "Action",
        }
    }
}

/// One thing in an alarm's life. It stays when the alarm goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryItem {
    /// Where it stands among all of them: later ones are greater.
    pub id: String,
    /// Whose.
    pub alarm: AlarmName,
    /// When.
    pub at: Timestamp,
    /// In a sentence, at most 255 characters.
    pub summary: String,
    /// The whole of it.
    pub told: Told,
}

impl HistoryItem {
    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> HistoryKind {
        match self.told {
            Told::Configured { .. } => HistoryKind::ConfigurationUpdate,
            Told::Moved { .. } => HistoryKind::StateUpdate,
            Told::Acted { .. } => HistoryKind::Action,
        }
    }
}

/// What a [`HistoryItem`] tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// It was made, put anew, or deleted.
    Configured {
        /// Which of them.
        how: ConfiguredHow,
        /// To what; of one that is deleted, what it was.
        settings: Box<AlarmSettings>,
        /// Whether it does anything.
        actions_enabled: bool,
    },
    /// It changed its state.
    Moved {
        /// From.
        from: AlarmState,
        /// Why it had been.
        from_reason: String,
        /// Why it had been, as JSON.
        from_data: Option<String>,
        /// To.
        to: AlarmState,
        /// Why.
        reason: String,
        /// Why, as JSON.
        data: Option<String>,
    },
    /// It did something.
    Acted {
        /// The action's ARN.
        action: String,
        /// The state whose action it is.
        state: AlarmState,
        /// When that was entered.
        entered: Timestamp,
        /// Why it could not be done.
        error: Option<String>,
    },
}

/// How an alarm was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfiguredHow {
    /// It is new.
    Create,
    /// It was there.
    Update,
    /// It is no more.
    Delete,
}
