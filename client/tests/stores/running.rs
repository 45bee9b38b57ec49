//! A third-party program in the background, ended when the test ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

pub(crate) struct Running {
    child: Child,
    /// Reads on, so that the program can write on.
    reader: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts it, and answers the rest of the first line of its output that has this in it.
    pub(crate) fn start(mut command: Command, awaited: &str) -> (Self, String) {
        // One pipe for both outputs.
        let (output, input) = std::io::pipe().unwrap();
        let mut child =
            command.stdin(Stdio::piped()).stdout(input.try_clone().unwrap()).stderr(input).spawn().unwrap();
        drop(command);
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let mut told = Vec::new();
        let found = lines.by_ref().find_map(|line| {
            let rest = line.split_once(awaited).map(|(_, rest)| rest.trim().to_owned());
            told.push(line);
            rest
        });
        let Some(found) = found else {
            child.kill().ok();
            panic!("it ended before it was ready: {told:?}");
        };
        let reader = std::thread::spawn(move || lines.for_each(drop));
        (Self { child, reader: Some(reader) }, found)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        self.reader.take().map(JoinHandle::join);
    }
}
