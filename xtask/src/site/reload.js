// Loads the page again once there is a newer build. Development only.
const loaded = document.querySelector('meta[name="build-id"]').content;

async function look() {
  try {
    const answer = await fetch("/build-id.txt", { cache: "no-store" });
    const id = (await answer.text()).trim();
    // While the API restarts nobody answers; while it has no page it answers with a problem.
    if (answer.ok && id !== "" && id !== loaded) {
      location.reload();
      return;
    }
  } catch {
    // Nobody answers: it will be back, or it was stopped.
  }
  setTimeout(look, 1000);
}

look();
