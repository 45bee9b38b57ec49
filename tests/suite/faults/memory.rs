//! Does an answer of 64 MiB, or one that unpacks to them, fill the broker's memory?

use jeton::sandbox::{Faults, Trouble};
use reqwest::Method;

use crate::support::house::House;
use crate::support::memory::peak_kib;
use crate::support::problem::read;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_flood_is_cut_off_and_not_held() {
    let house = House::start().await;
    for (app, trouble) in
        [("first", Trouble::Status(500)), ("huge", Trouble::Huge), ("bomb", Trouble::GzipBomb)]
    {
        house.connected_app(app).await;
        house.faults(Faults::before(trouble));
        house.pass(7_200);
        let before = peak_kib();
        let answer = house.ask(Method::GET, &format!("/{app}/sandbox/binb-token"), None).await;
        read(answer, "refresh_in_progress").await;
        let grown = peak_kib() - before;
        assert!(grown < 20_000, "{app}: {grown} KiB");
        house.faults(Faults::default());
    }
    assert_eq!(house.refreshes(), 3);
    house.stop().await;
}
