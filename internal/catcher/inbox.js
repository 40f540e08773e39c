// Shows new mails as they come, and leaves alone what has the focus.
setInterval(async () => {
  if (document.hidden) return;
  try {
    const reply = await fetch(location.href);
    if (!reply.ok) return;
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const next = page.getElementById("mails"), now = document.getElementById("mails");
    if (next.innerHTML === now.innerHTML) return;
    const focus = now.contains(document.activeElement) && document.activeElement.getAttribute("href");
    now.replaceWith(next);
    document.title = page.title;
    if (focus) next.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
  } catch {
    // The catcher is away; it may come back.
  }
}, 2000);
