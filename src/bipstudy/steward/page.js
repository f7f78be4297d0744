// What the page does beyond plain forms: files by drag and drop, how far it has come, and the news that it is open.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const find = (selector) => document.querySelector(selector);
  const form = find("#form");
  const filled = (words, values) => words.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));

  // After a step of one's own the heading is read aloud, and the next key goes on from there.
  if (sessionStorage.getItem("moved")) {
    sessionStorage.removeItem("moved");
    const heading = find("h1");
    heading.tabIndex = -1;
    heading.focus();
  }
  const move = () => {
    sessionStorage.setItem("moved", "1");
    location.replace(location.pathname);
  };

  function tell(words) {
    const place = find("#alert");
    place.hidden = !words;
    place.firstElementChild.textContent = words || "";
    if (words) place.scrollIntoView({ block: "center" });
  }

  // ---- files ----
  let chosen = [];
  let sending = null;

  const size = (bytes) => {
    const units = ["byte", "kB", "MB", "GB"];
    let at = 0;
    for (; bytes >= 1000 && at < 3; at += 1) bytes /= 1000;
    return `${bytes.toLocaleString(root.lang, { maximumFractionDigits: at ? 1 : 0 })} ${units[at]}`;
  };

  function draw() {
    const list = find(".chosen ul");
    list.replaceChildren(...chosen.map((each, at) => {
      const [line, name, bytes, gone] = ["li", "span", "span", "button"].map((kind) => document.createElement(kind));
      name.textContent = each.name;
      bytes.textContent = size(each.file.size);
      bytes.className = "size";
      gone.textContent = form.dataset.removeShort;
      gone.setAttribute("aria-label", filled(form.dataset.remove, { name: each.name }));
      gone.type = "button";
      gone.className = "plain";
      gone.addEventListener("click", () => {
        chosen.splice(at, 1);
        draw();
        (list.querySelectorAll("button")[Math.min(at, chosen.length - 1)] || find("#files")).focus();
      });
      line.append(name, bytes, gone);
      return line;
    }));
    find(".chosen").hidden = !chosen.length;
    const total = chosen.reduce((sum, each) => sum + each.file.size, 0);
    find(".sum").textContent = chosen.length ? filled(form.dataset.chosen, { count: chosen.length, size: size(total) }) : "";
    return total;
  }

  function add(files) {
    for (const each of files) {
      // The same name once more is the same file once more, perhaps mended in between.
      chosen = chosen.filter((one) => one.name !== each.name);
      chosen.push(each);
    }
    tell("");
    draw();
  }

  const entered = (entry, path) => new Promise((done) => {
    if (entry.isFile) {
      entry.file((file) => done([{ file, name: path + file.name }]), () => done([]));
      return;
    }
    const reader = entry.createReader();
    const inside = [];
    const more = () => reader.readEntries(async (entries) => {
      if (!entries.length) return done((await Promise.all(inside)).flat());
      inside.push(...entries.map((one) => entered(one, `${path}${entry.name}/`)));
      more();
    }, () => done([]));
    more();
  });

  async function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return add([...transfer.files].map((file) => ({ file, name: file.name })));
    add((await Promise.all(entries.map((entry) => entered(entry, "")))).flat());
  }

  function send(event) {
    event.preventDefault();
    if (sending) return;
    const total = draw();
    if (!chosen.length) {
      tell(form.dataset.none);
      find("#files").focus();
      return;
    }
    if (total > Number(form.dataset.limit)) {
      tell(form.dataset.large);
      return;
    }
    tell("");
    const content = new FormData(form);
    content.delete("files");
    content.delete("folder");
    for (const each of chosen) content.append("files", each.file, each.name);
    const bar = find(".bar-of");
    const button = form.querySelector("button[type=submit]");
    const over = (words) => {
      sending = null;
      bar.hidden = true;
      button.disabled = false;
      button.focus();
      find(".sending").textContent = "";
      tell(words);
    };
    sending = new XMLHttpRequest();
    sending.open("POST", form.action);
    sending.setRequestHeader("Accept", "application/json");
    sending.responseType = "json";
    sending.upload.addEventListener("progress", (step) => {
      const percent = step.lengthComputable ? Math.floor((100 * step.loaded) / step.total) : 0;
      bar.value = percent;
      // Said aloud in tens, or nothing else would be heard.
      if (percent % 10 === 0) find(".sending").textContent = filled(form.dataset.sending, { percent });
    });
    sending.addEventListener("load", () => {
      if (sending.status === 200) move();
      else over((sending.response && sending.response.problem) || form.dataset.broken);
    });
    sending.addEventListener("error", () => over(form.dataset.broken));
    bar.hidden = false;
    button.disabled = true;
    sending.send(content);
  }

  if (form) {
    for (const name of ["files", "folder"]) {
      const input = find(`#${name}`);
      input.addEventListener("change", () => {
        add([...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
        input.value = "";
      });
      // The field is drawn as a button, and a button listens to this key as well.
      input.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        input.click();
      });
    }
    find("#none").addEventListener("click", () => {
      chosen = [];
      draw();
      find("#files").focus();
    });
    form.addEventListener("submit", send);
    // Files may be dropped anywhere: beside the field, the browser would leave the page and open them.
    let inside = 0;
    const mark = (change) => {
      inside = Math.max(0, inside + change);
      root.classList.toggle("over", inside > 0);
    };
    addEventListener("dragenter", (event) => { event.preventDefault(); mark(1); });
    addEventListener("dragleave", () => mark(-1));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      inside = 0;
      mark(0);
      if (sending) return;
      dropped(event.dataTransfer);
      form.scrollIntoView({ block: "center" });
    });
  }
  for (const each of document.querySelectorAll('form[action="stop"]')) {
    each.addEventListener("submit", () => sessionStorage.setItem("moved", "1"));
  }
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));

  // ---- how far it has come; while this lasts, the program knows that the page is open ----
  const events = new EventSource("events");
  let silent = 0;
  events.addEventListener("message", (message) => {
    silent = 0;
    find("#lost").hidden = true;
    const now = JSON.parse(message.data);
    if (String(now.run) !== root.dataset.run || now.state !== root.dataset.state) {
      if (now.state === "working" && root.dataset.state === "queued" && String(now.run) === root.dataset.run) {
        root.dataset.state = "working";
      } else {
        if (!sending) { events.close(); move(); }
        return;
      }
    }
    const place = find(".status");
    if (!place) return;
    const step = now.state === "queued" ? "queued" : now.step || "reading";
    const words = find(`[data-words="${step}"]`).textContent;
    if (place.textContent !== words) place.textContent = words;
    const steps = [...document.querySelectorAll(".steps li")];
    const at = Math.max(0, steps.findIndex((each) => each.dataset.step === step));
    steps.forEach((each, number) => {
      each.className = number < at || number === 0 ? "past" : number === at ? "now" : "";
      if (number === at && at) each.setAttribute("aria-current", "step");
      else each.removeAttribute("aria-current");
    });
    find(".work progress").value = Math.max(1, at);
    place.classList.toggle("unseen", now.state !== "queued");
  });
  events.addEventListener("error", () => {
    silent += 1;
    if (silent < 3 && events.readyState !== EventSource.CLOSED) return;
    const place = find("#lost");
    place.firstElementChild.textContent = root.dataset.lost;
    place.hidden = false;
  });
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  const seconds = find("#seconds");
  if (seconds) {
    const began = Date.now();
    setInterval(() => {
      seconds.textContent = filled(seconds.dataset.words, { count: Math.round((Date.now() - began) / 1000) });
    }, 1000);
  }
})();
