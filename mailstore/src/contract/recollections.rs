//! Recollections: remembered until their time is over, the same for all processes, and there again after a restart.

use super::{options, with_store};
use crate::{Note, Store};

fn note(topic: &str, name: &str, text: &str, until: u64) -> Note {
    let [topic, name, text] = [topic, name, text].map(str::to_owned);
    Note { topic, name, text, until }
}

async fn recalled(store: &Store, topic: &str, names: &[&str], now: u64) -> Vec<String> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let recalled = store.recollections.recall(topic, &names, now).await.unwrap();
    recalled.into_iter().map(|note| note.text).collect()
}

#[tokio::test]
async fn what_is_remembered_is_recalled_until_its_time_is_over_or_it_is_remembered_anew() {
    with_store(async |store| {
        let notes =
            vec![note("t", "b", "two", 200), note("t", "a", "one", 100), note("u", "a", "other", 100)];
        store.recollections.remember(notes).await.unwrap();
        store.recollections.remember(vec![note("t", "b", "three", 300)]).await.unwrap();
        assert_eq!(recalled(&store, "t", &["b", "x", "a"], 99).await, ["three", "one"]);
        assert_eq!(recalled(&store, "t", &["a", "b"], 100).await, ["three"]);
        assert!(recalled(&store, "x", &["a"], 0).await.is_empty());
        let all = store.recollections.recollections("t", "", 0).await.unwrap();
        assert_eq!(all, [note("t", "a", "one", 100), note("t", "b", "three", 300)]);
        assert_eq!(store.recollections.recollections("t", "a", 0).await.unwrap(), all[1..]);
        assert!(store.recollections.recollections("t", "b", 0).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_is_remembered_is_there_again_after_an_orderly_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(options(folder.path())).await.unwrap();
    store.recollections.remember(vec![note("t", "a", "one", u64::MAX)]).await.unwrap();
    store.close().await;
    let store = crate::open(options(folder.path())).await.unwrap();
    assert_eq!(recalled(&store, "t", &["a"], 0).await, ["one"]);
    store.close().await;
}
