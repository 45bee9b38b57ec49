//! Files and variables.

use std::os::unix::fs::PermissionsExt;

use jeton_client::Secret;
use jeton_client::secret_store::{Expected, StoreFault, Variables};

use crate::life::{fault, lives, one_line, replace, store, value};

const REFERENCE: &str = "file:prod/pipeline";

fn home() -> (tempfile::TempDir, Variables) {
    let home = tempfile::tempdir().unwrap();
    let variables = Variables::of([("HOME", home.path().to_str().unwrap())]);
    (home, variables)
}

#[tokio::test]
async fn a_file_lives_as_every_secret() {
    let (home, variables) = home();
    let file = store(REFERENCE, &variables);
    lives(&*file, false).await;
    file.delete().await.unwrap();
    replace(&*file, "canary", &Expected::Absent).await;

    let state = home.path().join(".local/state/jeton");
    let mode = |path: &str| std::fs::metadata(state.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("secrets"), mode("secrets/prod")), (0o700, 0o700));
    assert_eq!((mode("secrets/prod/pipeline.sealed"), mode("secrets.key")), (0o600, 0o600));
    let kept = std::fs::read_to_string(state.join("secrets/prod/pipeline.sealed")).unwrap();
    assert!(kept.starts_with("jeton-sealed-1\n") && !kept.contains("canary"), "{kept}");
    let names: Vec<_> = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_write_one_does() {
    let (_home, variables) = home();
    let tasks: Vec<_> = (0..16)
        .map(|nth| {
            let file = store(REFERENCE, &variables);
            tokio::spawn(
                async move { file.put(&Secret::new(format!("canary-{nth}")), &Expected::Absent).await },
            )
        })
        .collect();
    let mut written = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => written += 1,
            Err(error) => assert_eq!(error.fault(), Some(&StoreFault::Exists)),
        }
    }
    assert_eq!(written, 1);
    assert!(value(store(REFERENCE, &variables).get().await.unwrap()).unwrap().starts_with("canary-"));
}

#[tokio::test]
async fn a_file_opens_in_its_place_with_its_key_alone() {
    let (home, variables) = home();
    replace(&*store(REFERENCE, &variables), "canary", &Expected::Absent).await;
    let folder = home.path().join(".local/state/jeton/secrets/prod");
    let (kept, key) = (folder.join("pipeline.sealed"), home.path().join(".local/state/jeton/secrets.key"));

    std::fs::copy(&kept, folder.join("other.sealed")).unwrap();
    let moved = store("file:prod/other", &variables);
    assert!(fault(moved.get().await).to_string().contains("other.sealed does not open"));

    let mut text = std::fs::read_to_string(&kept).unwrap();
    text.replace_range(40..41, if &text[40..41] == "A" { "B" } else { "A" });
    std::fs::write(&kept, text).unwrap();
    let error = store(REFERENCE, &variables).get().await.unwrap_err();
    let told = one_line(&error, REFERENCE);
    let todo = "move it away, then store the secret again";
    assert!(told.contains("pipeline.sealed does not open") && told.ends_with(todo), "{told}");
    let again = store(REFERENCE, &variables).put(&Secret::new("x"), &Expected::Absent).await.unwrap_err();
    assert!(one_line(&again, REFERENCE).ends_with(todo), "it is not written over: {again}");

    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o644)).unwrap();
    let error = store(REFERENCE, &variables).get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("run `chmod go= "), "{error}");
    assert_eq!(error.action(), jeton_client::Action::FixConfiguration);

    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::remove_file(key).unwrap();
    let error = store(REFERENCE, &variables).get().await.unwrap_err();
    assert!(one_line(&error, REFERENCE).contains("secrets.key is missing"), "{error}");
}

#[tokio::test]
async fn a_variable_is_read_and_never_written() {
    let variables = Variables::of([("PIPELINE", "canary")]);
    let found = store("env:PIPELINE", &variables);
    assert_eq!(value(found.get().await.unwrap()).as_deref(), Some("canary"));
    assert_eq!(value(store("env:OTHER", &variables).get().await.unwrap()), None);
    let error = found.put(&Secret::new("x"), &Expected::Absent).await.unwrap_err();
    assert_eq!(
        one_line(&error, "env:PIPELINE"),
        "the environment, `env:PIPELINE`: this store can only be read: name another one"
    );
}
