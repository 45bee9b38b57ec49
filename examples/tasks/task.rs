//! Who may start a task at this service, and read how it goes? And how does the service say that it has ended?

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use jeton_client::Authorized;
use jeton_guard::actix::{Bearer, Scope};
use url::Url;

use crate::service::{Error, Settings, State, Task, send};

/// More are not begun at one time.
const MOST: usize = 100;

struct TasksStart;
impl Scope for TasksStart {
    const SCOPE: &'static str = "tasks:start";
}

struct TasksRead;
impl Scope for TasksRead {
    const SCOPE: &'static str = "tasks:read";
}

struct Work {
    takes: Duration,
    tasks: Mutex<BTreeMap<String, State>>,
    coordinator: Authorized,
    end_task: Url,
}

pub(crate) async fn serve(
    settings: &Settings,
    name: &str,
    listener: TcpListener,
    coordinator: Url,
) -> Result<Server, Error> {
    let work = web::Data::new(Work {
        takes: Duration::from_secs(settings.work_s.into()),
        tasks: Mutex::default(),
        coordinator: settings.caller(name, "coordinator").await?,
        end_task: coordinator.join("api/end-task/").map_err(|_| Error::Answer("coordinator"))?,
    });
    let guard = web::Data::new(settings.guard(name)?);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(guard.clone())
            .app_data(work.clone())
            .route("/api/start-task/", web::post().to(start_task))
            .route("/api/read-task/{task}/", web::get().to(read_task))
    });
    Ok(server.workers(1).listen(listener)?.run())
}

/// A task that was started already goes on; it is not started twice.
async fn start_task(
    caller: Bearer<TasksStart>,
    task: web::Json<Task>,
    work: web::Data<Work>,
) -> HttpResponse {
    let name = task.into_inner().task;
    {
        let mut tasks = work.tasks();
        if tasks.contains_key(&name) {
            return HttpResponse::Accepted().finish();
        }
        if tasks.len() >= MOST {
            return HttpResponse::ServiceUnavailable().insert_header(("retry-after", "60")).finish();
        }
        tasks.insert(name.clone(), State::Running);
    }
    tracing::info!("{} starts the task `{name}`", caller.subject);
    actix_web::rt::spawn(Arc::clone(&work).work_at(name));
    HttpResponse::Accepted().finish()
}

async fn read_task(_: Bearer<TasksRead>, task: web::Path<String>, work: web::Data<Work>) -> HttpResponse {
    match work.tasks().get(task.as_str()) {
        Some(state) => HttpResponse::Ok().json(state),
        None => HttpResponse::NotFound().finish(),
    }
}

impl Work {
    /// Here your work would be.
    async fn work_at(self: Arc<Self>, task: String) {
        tokio::time::sleep(self.takes).await;
        self.tasks().insert(task.clone(), State::Ended { rows: 42 });
        let request = self.coordinator.http().post(self.end_task.clone()).json(&Task { task });
        if let Err(error) = send("coordinator", &self.coordinator, request).await {
            tracing::warn!("the end of a task was not told: {error}");
        }
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
