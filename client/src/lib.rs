//! How does a job get a token from the broker, and what does it do when it gets none?
//!
//! [`Broker`] signs in once however many tasks ask (as itself by `client_credentials`, or for a person by the refresh
//! token that a [`LoginStore`] keeps), keeps that bearer until it is nearly over, and calls the routes of the broker. Failures are typed by the action to take: [`Action`].
//! A rustls crypto provider must be installed by the program before the first [`Broker`] is made.
//!
//! ```no_run
//! # async fn job() -> Result<(), jeton_client::Error> {
//! use jeton_client::{Broker, BrokerSettings, TokenRequest};
//! let broker = Broker::new(BrokerSettings::from_env().await?)?;
//! let token = broker.retrieve_token("acme", "github", &TokenRequest::default()).await?;
//! # Ok(()) }
//! ```
#![warn(clippy::missing_errors_doc)] // a library says when its functions fail

mod admin;
mod assertion;
mod authorized;
mod broker;
mod error;
mod grant;
mod login;
mod patience;
mod private_file;
mod problem;
#[cfg(test)]
mod scripted;
mod secret;
pub mod secret_store;
mod service_token;
mod settings;
mod sign_in;
mod sts;
mod token;
mod token_source;
mod xml;

pub use assertion::AssertionKey;
pub use authorized::Authorized;
pub use broker::Broker;
pub use error::{CredentialRefused, Error, IssuerUnreached};
pub use grant::{ClientProof, Grant, OnRotation};
pub use login::{
    Device, FileStore, Kept, Login, LoginClient, LoginError, LoginLock, LoginPlace, LoginStore, Polled,
    StoreKind,
};
pub use problem::{Action, FieldError, Problem};
pub use reqwest::Method;
pub use secret::Secret;
pub use service_token::{ServiceToken, service_token};
pub use settings::{BrokerSettings, Credential, SettingsError};
pub use sts::{AssumeRole, AwsKeys, StsRefusal};
pub use token::{ConnectionStatus, Degraded, HandedToken, LastError, TokenRequest};
pub use token_source::{Bearer, Ticks, TokenSource};
