//! Which client is meant? Of an option that was mistyped, or an identifier, it is said that it is no client id.

use std::ffi::OsStr;

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::Error;
use crate::model::client::ClientId;

/// Client ids, some of which begin with a hyphen: those are told from options by their form.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Parser;

impl TypedValueParser for Parser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, argument, value)?;
        let is_made_here = || ClientId::parse(&text).is_some_and(|id| id.is_like_a_made_one());
        if !text.starts_with('-') || is_made_here() {
            return Ok(text);
        }
        // The errors of clap itself.
        let option = argument.filter(|argument| !argument.is_positional());
        let kind = option.map_or(ErrorKind::UnknownArgument, |_| ErrorKind::InvalidValue);
        let mut error = clap::Error::new(kind).with_cmd(command);
        let mut say = |kind, text| error.insert(kind, ContextValue::String(text));
        match option {
            // It has no value, since what follows is an option.
            Some(option) => {
                say(ContextKind::InvalidArg, option.to_string());
                say(ContextKind::InvalidValue, String::new());
            }
            None => {
                say(ContextKind::InvalidArg, text);
            }
        }
        error.insert(ContextKind::Usage, ContextValue::StyledStr(command.clone().render_usage()));
        Err(error)
    }
}

/// Where the broker knows no such client, what was given may be its name.
pub(super) fn unknown(error: Error) -> Error {
    match error {
        Error::Broker { doing, source } if source.problem().is_some_and(|p| p.code == "not_found") => {
            Error::NoClient { doing, source }
        }
        other => other,
    }
}
