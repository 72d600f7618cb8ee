//! Every story over the twin, against its recorded text. `UPDATE_EXPECT=1` records it anew.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use lingqian_io::twin::MemoryStore;
use lingqian_sim::story::play;

fn stories() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let files = fs::read_dir(dir).expect("the stories are there");
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let mut stories: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "story"))
        .collect();
    stories.sort();
    stories
}

#[test]
fn every_story_ends_well_and_as_it_is_recorded() {
    let stories = stories();
    assert!(stories.len() >= 15, "only {} stories", stories.len());
    for path in stories {
        let text = fs::read_to_string(&path).expect("it reads");
        let store = MemoryStore::default();
        let told = play(&text, move || store.clone()).expect(&text);
        expect_file![path.with_extension("txt")].assert_eq(&told.text);
        assert!(told.good, "{}\n{}", path.display(), told.text);
    }
}
