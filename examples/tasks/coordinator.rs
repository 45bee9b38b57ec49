//! How does the coordinator have tasks done, and whom does it believe that one has ended?
//!
//! It is told so by a call with the scope `tasks:end`, and then reads the state where it started the task: nobody can
//! end another's task by saying so.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use jeton_guard::actix::{Bearer, Scope};
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;

use crate::service::{Error, Settings, State, Task, send};

/// How long it waits for a task.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How often it looks by itself.
const LOOK: Duration = Duration::from_secs(30);

struct TasksEnd;
impl Scope for TasksEnd {
    const SCOPE: &'static str = "tasks:end";
}

type Ended = mpsc::Sender<String>;

/// Serves until the tasks are done; what came of each.
pub(crate) async fn run(
    settings: &Settings,
    listener: TcpListener,
    services: Vec<(&'static str, Url)>,
) -> Result<Vec<String>, Error> {
    let (ended, mut told) = mpsc::channel::<String>(16);
    let (guard, ended) = (web::Data::new(settings.guard("coordinator")?), web::Data::new(ended));
    let server = HttpServer::new(move || {
        let app = App::new().app_data(guard.clone()).app_data(ended.clone());
        app.route("/api/end-task/", web::post().to(end_task))
    });
    let server = server.workers(1).listen(listener)?.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let mut results = Vec::new();
    for (name, service) in services {
        let patience = timeout(PATIENCE, delegate(settings, name, &service, &mut told));
        let rows = patience.await.map_err(|_| Error::Late(name))??;
        results.push(format!("{name}: ended, {rows} rows"));
    }
    handle.stop(true).await;
    Ok(results)
}

async fn end_task(caller: Bearer<TasksEnd>, task: web::Json<Task>, ended: web::Data<Ended>) -> HttpResponse {
    let task = task.into_inner().task;
    tracing::info!("{} says that the task `{task}` has ended", caller.subject);
    match ended.try_send(task) {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().insert_header(("retry-after", "1")).finish(),
    }
}

/// Has a task done by the service, and waits for its end.
async fn delegate(
    settings: &Settings,
    name: &'static str,
    service: &Url,
    told: &mut mpsc::Receiver<String>,
) -> Result<u64, Error> {
    let api = settings.caller("coordinator", name).await?;
    let at = |path: &str| service.join(path).map_err(|_| Error::Answer(name));
    let task = format!("nightly-{name}");
    let start = api.http().post(at("api/start-task/")?).json(&Task { task: task.clone() });
    send(name, &api, start).await?;
    loop {
        // Told or not: a call may be lost.
        if timeout(LOOK, told.recv()).await.is_ok_and(|ended| ended.is_some_and(|ended| ended != task)) {
            continue;
        }
        let read = api.http().get(at(&format!("api/read-task/{task}/"))?);
        let state = send(name, &api, read).await?.json::<State>().await;
        if let State::Ended { rows } = state.map_err(|_| Error::Answer(name))? {
            return Ok(rows);
        }
    }
}
