//! How is what is shown once handed over? To a file of mode 0600, as JSON, or as text for a person.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde_json::json;

use super::{Error, output};
use crate::app::Credentials;

/// Where the credentials go.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ShownOnce {
    /// Print JSON: client_id, client_secret, invitation_url
    #[arg(long)]
    json: bool,
    /// Write to this new file (mode 0600) instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A place that takes them: opened before anything is made that could not be shown.
pub(super) struct Place {
    json: bool,
    file: Option<(PathBuf, std::fs::File)>,
}

impl ShownOnce {
    pub(super) fn open(self) -> Result<Place, Error> {
        let file = self.out.map(|path| {
            let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            match made {
                Ok(file) => Ok((path, file)),
                Err(source) => Err(Error::Unwritable { place: path.display().to_string(), source }),
            }
        });
        Ok(Place { json: self.json, file: file.transpose()? })
    }
}

impl Place {
    /// Shows them, and says what happened.
    #[expect(clippy::disallowed_methods, reason = "door: who runs the command is shown them, once")]
    pub(super) fn show(self, made: &Credentials, happened: &str) -> Result<(), Error> {
        let (id, secret) = (made.client_id.as_str(), made.client_secret.expose_secret());
        let invitation = made.invitation_url.expose_secret();
        let mut text = Vec::new();
        if self.json {
            let value = json!({ "client_id": id, "client_secret": secret, "invitation_url": invitation });
            output::json(&mut text, &value)?;
        } else {
            writeln!(
                text,
                "{happened} What follows is shown once; keep it safe.\n\n\
                 A superadmin client, for programs and the command line:\n  \
                 JETON_CLIENT_ID={id}\n  JETON_CLIENT_SECRET={secret}\n\n\
                 An invitation for a superadmin person, to be opened in a browser within 7 days:\n  {invitation}\n\n\
                 Next: `jeton serve`, with the same settings."
            )?;
        }
        match self.file {
            Some((path, mut file)) => {
                file.write_all(&text).and_then(|()| file.sync_all())?;
                writeln!(std::io::stderr(), "{happened} The credentials are in {}.", path.display())?;
            }
            None => std::io::stdout().write_all(&text)?,
        }
        Ok(())
    }

    /// Leaves nothing behind where nothing was made.
    pub(super) fn forget(self) {
        if let Some((path, _)) = self.file {
            std::fs::remove_file(path).ok();
        }
    }
}
