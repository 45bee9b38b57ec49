//! Why was a client not made, changed or found?

use uuid::Uuid;

use crate::model::client::ClientId;
use crate::model::resource::ResourceScope;

/// Why a client was not made, changed or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client has this id, or no secret of it.
    #[error("there is no such client or secret")]
    NotFound,
    /// Its rights are not within those of who asks.
    #[error("the client's rights exceed those of who asks")]
    ExceedsOwn,
    /// Another client is called so.
    #[error("another client has this identifier")]
    IdentifierTaken,
    /// It has two live secrets.
    #[error("the client has two live secrets{}", remedy(.0, .1))]
    TwoSecrets(ClientId, Spare),
    /// Somebody else delivers it at this moment.
    #[error("a delivery of the client's credential is under way: try again in two minutes")]
    UnderWay,
    /// The row has changed since it was read.
    #[error("the client has changed meanwhile")]
    Changed,
    /// A field is out of range.
    #[error("`{field}` {reason}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Neither the broker nor a resource server of the client's knows it.
    #[error(
        "`{scope}` is neither a scope of the broker nor of the client's resource servers{}",
        near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
    )]
    UnknownScope {
        /// It.
        scope: ResourceScope,
        /// The one with nearly its name.
        near: Option<String>,
    },
    /// A secret store did not do what it was asked, or is none that was named.
    #[error(transparent)]
    Delivery(#[from] crate::secret_stores::Error),
    /// A client was made and its credential is not where it should be.
    #[error("the client {0} was made, and its credential not delivered")]
    HalfDone(ClientId, #[source] Box<Error>),
    /// Its row was changed by somebody else than this instance.
    #[error("the client's row is not used")]
    NotOurs(#[from] crate::vault::Error),
    /// The database gave nothing.
    #[error("the clients could not be read or written")]
    Store(#[source] crate::store::Error),
    /// No record, no change.
    #[error("the change's audit record was not written")]
    Audit(#[from] crate::audit::Error),
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        match error {
            crate::store::Error::AlreadyExists => Self::IdentifierTaken,
            other => Self::Store(other),
        }
    }
}

/// Which of two live secrets is in the way. None is deleted for that: a program may hold it still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spare {
    /// Nothing tells.
    Unknown,
    /// The one that the last delivery replaced.
    Replaced(Uuid),
    /// The one delivered last, which its store does not hold any more.
    Lost(Uuid),
}

fn remedy(client: &ClientId, spare: &Spare) -> String {
    match spare {
        Spare::Unknown => format!(
            "; delete one first: `jeton client show {client}` lists them, `jeton client secret delete {client} SECRET_ID` \
             deletes one"
        ),
        Spare::Replaced(id) => format!(
            ": the one that was replaced last ends when nobody has used it for a day; to end it now, `jeton client secret \
             delete {client} {id}`"
        ),
        Spare::Lost(id) => format!(
            ", and the one delivered last is in its store no more; delete that one first, if no program holds it still: \
             `jeton client secret delete {client} {id}`"
        ),
    }
}
