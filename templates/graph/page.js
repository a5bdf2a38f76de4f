"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { nodes, edges } = data;
  const $ = (id) => document.getElementById(id);
  const map = $("map"), scene = $("scene"), panel = $("panel");
  const SVG = "http://www.w3.org/2000/svg";
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

  // Everything is put in as text or as an attribute, never as markup.
  const draw = (name, attributes, parent, text) => {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };
  const html = (name, attributes, ...inner) => {
    const made = document.createElement(name);
    for (const key in attributes) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), attributes[key]);
      else made.setAttribute(key, attributes[key]);
    }
    made.append(...inner.filter((each) => each !== "" && each !== null));
    return made;
  };

  // ---- who calls whom
  const into = nodes.map(() => []), outOf = nodes.map(() => []);
  edges.forEach((edge, nth) => { outOf[edge.from].push(nth); into[edge.to].push(nth); });
  const kindOf = (edge) => `${edge.kind}${edge.copy ? " copy" : ""}`;

  /** What ends with a node: `whole` loses all requests of some route, `part` a share of them. */
  const dying = (start) => {
    const spread = (least) => {
      const found = new Set([start]), left = [start];
      while (left.length) {
        for (const nth of into[left.pop()]) {
          const { from, need } = edges[nth];
          if (need >= least && need > 0 && !found.has(from)) { found.add(from); left.push(from); }
        }
      }
      return found;
    };
    const whole = spread(1), any = spread(0);
    const part = [...any].filter((each) => !whole.has(each));
    whole.delete(start);
    return { whole: [...whole].sort((a, b) => a - b), part: part.sort((a, b) => a - b) };
  };

  // ---- the scene
  let view = null, chosen = null, here = null, blast = false, scale = 1, left = 0, top = 0, trail = [];
  // Until somebody moves the picture, it fits into what room there is.
  let touched = false;
  /** From how far it is looked at, which says what can be read. */
  let distance = "";
  const placed = new Map(), groupPlaced = new Map();
  const elements = new Map(), groupElements = new Map();
  const lineOf = new Map();

  const worst = (found) => ["error", "warning", "info"].find((each) => found.some(([severity]) => severity === each));
  const short = (text, most) => (text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`);

  const spoken = (nth) => {
    const node = nodes[nth];
    return [node.name, node.kind, node.under, `called by ${into[nth].length}, calls ${outOf[nth].length}`,
      node.findings.length ? count(node.findings.length, "finding") : ""].filter(Boolean).join(", ");
  };

  const drawLabel = (words, x, y, parent) => {
    const width = 12 + 6.2 * words.length;
    draw("rect", { class: "pill", x: x - width / 2, y: y - 9, width, height: 18, rx: 9 }, parent);
    draw("text", { class: "said", x, y: y + 4 }, parent, words);
  };

  const drawNode = ([nth, x, y, width, height], chip) => {
    const node = nodes[nth];
    const made = draw("g", { class: `${node.kind} ${node.proxy}${chip ? " chip" : ""}`, transform: `translate(${x} ${y})`,
      role: "button", id: `node-${nth}`, "aria-label": spoken(nth) });
    draw("title", {}, made, [node.name, ...node.findings.map(([, slug]) => slug)].join("\n"));
    draw("rect", { class: "card", width, height, rx: chip ? 6 : 10 }, made);
    draw("rect", { class: "stripe", x: chip ? 5 : 6, y: chip ? 6 : 9, width: 4, height: height - (chip ? 12 : 18), rx: 2 }, made);
    const room = width - (chip ? 30 : 44);
    const name = draw("text", { class: "name" }, made,
      short(node.name, Math.floor(room / (chip ? 6.4 : 7.4))));
    name.style.setProperty("--far", `${Math.min(chip ? 13 : 23, (width - 26) / Math.max(4, name.textContent.length) * 1.62)}px`);
    const at = chip ? 15 : 18;
    name.dataset.places = JSON.stringify({ near: [at, chip ? height / 2 + 4 : 20], far: [at, height / 2], farther: [at, height / 2] });
    if (!chip) {
      draw("text", { class: "under", x: 18, y: 36 }, made, node.under);
      if (node.mtls) draw("path", { class: `lock ${node.mtls}`, d: `M${width - 20} 33h10v7h-10zM${width - 18} 33v-3a3 3 0 0 1 6 0${node.mtls === "strict" ? "v3" : ""}` }, made);
    }
    const found = node.findings;
    if (found.length && chip) draw("circle", { class: `mark ${worst(found)}`, cx: width - 9, cy: height / 2, r: 3.5 }, made);
    else if (found.length) {
      draw("circle", { class: `mark ${worst(found)}`, cx: width - 15, cy: 14, r: 8 }, made);
      draw("text", { class: "count", x: width - 15, y: 17.6 }, made, found.length);
    }
    made.dataset.node = nth;
    elements.set(nth, made);
    placed.set(nth, { x, y, width, height });
    return made;
  };

  const drawGroup = (group, nth, titles) => {
    const [, x, y, width, height] = group.box;
    const made = draw("g", { class: "group", transform: `translate(${x} ${y})`, role: "button",
      "aria-label": `${group.name}, ${count(group.members.length, "service")}`, id: `group-${nth}` });
    draw("rect", { class: "box", width, height, rx: 12 }, made);
    // Above what is in the group, for from afar it stands in the middle.
    const title = draw("text", { class: "title", transform: `translate(${x} ${y})` }, titles, short(group.name, Math.floor((width - 78) / 8.4)));
    title.style.setProperty("--far", `${Math.min(24, (width - 56) / Math.max(5, group.name.length) * 1.55)}px`);
    title.style.setProperty("--farther", `${Math.min(58, height * 0.4, (width - 40) / Math.max(4, group.name.length) * 1.6)}px`);
    title.dataset.places = JSON.stringify({ near: [12, 22], far: [12, 22], farther: [width / 2, height / 2] });
    draw("text", { class: "under", x: width - 12, y: 23 }, made, group.members.length);
    const found = group.members.filter((each) => nodes[each].findings.length).length;
    if (height < 70) draw("text", { class: "under inner", x: 12, y: 44 }, made, found ? `${found} with findings` : "no findings");
    made.dataset.group = nth;
    groupElements.set(nth, made);
    groupPlaced.set(nth, { x, y, width, height });
    return made;
  };

  const show = (next, fitted = true) => {
    view = next;
    for (const each of [placed, groupPlaced, elements, groupElements, lineOf]) each.clear();
    const lines = document.createDocumentFragment(), boxes = document.createDocumentFragment(), labels = document.createDocumentFragment();
    const titles = document.createDocumentFragment();
    distance = "";
    const grouped = view.groups.length > 0;
    // Where there are many lines for each box they step back, and the heads of arrows go.
    const crowd = view.lines.length / Math.max(1, grouped ? view.groups.length : view.nodes.length);
    const faint = Math.max(0.13, Math.min(0.8, 1.9 / crowd));
    for (const [ids, d, kind, wide, x, y] of view.lines) {
      const copy = ids.every((nth) => edges[nth].copy) ? " copy" : "";
      const line = draw("path", { class: `edge ${kind}${copy}`, d }, lines);
      line.style.opacity = kind === "refused" ? Math.max(0.5, faint) : faint;
      if (faint > 0.3) line.setAttribute("marker-end", `url(#to-${kind})`);
      if (wide) line.style.setProperty("--wide", `${faint > 0.3 ? wide : Math.min(wide, 2)}px`);
      if (!grouped) lineOf.set(ids[0], { d, x, y });
      if (!grouped && edges[ids[0]].label) drawLabel(edges[ids[0]].label, x, y, labels);
    }
    view.groups.forEach((group, nth) => boxes.append(drawGroup(group, nth, titles)));
    for (const box of view.nodes) boxes.append(drawNode(box, grouped));
    $("lines").replaceChildren(lines);
    $("boxes").replaceChildren(boxes, titles);
    $("labels").replaceChildren(labels);
    $("back").hidden = trail.length === 0;
    here = null;
    if (chosen !== null && !elements.has(chosen)) close(false);
    mark();
    if (fitted) fit(); else look();
  };

  const between = (a, b) => {
    const flows = a.x + a.width < b.x + 1;
    const back = b.x + b.width < a.x + 1;
    const ay = a.y + a.height / 2, by = b.y + b.height / 2;
    if (!flows && !back) {
      const ax = a.x + a.width, bx = b.x + b.width, out = Math.max(ax, bx) + 34;
      return `M${ax} ${ay}C${out} ${ay} ${out} ${by} ${bx} ${by}`;
    }
    const ax = flows ? a.x + a.width : a.x, bx = flows ? b.x : b.x + b.width, middle = (ax + bx) / 2;
    return `M${ax} ${ay}C${middle} ${ay} ${middle} ${by} ${bx} ${by}`;
  };

  /** Classes and the lines of the chosen node. */
  const mark = () => {
    const over = document.createDocumentFragment(), said = document.createDocumentFragment();
    for (const [, each] of elements) each.classList.remove("lit", "chosen", "dying", "part", "here");
    for (const [, each] of groupElements) each.classList.remove("here");
    map.classList.toggle("dim", chosen !== null);
    if (chosen !== null) {
      const lit = new Set([chosen]);
      if (blast) {
        const { whole, part } = dying(chosen);
        for (const each of [...whole, ...part]) { lit.add(each); elements.get(each)?.classList.add("dying"); }
        for (const each of part) elements.get(each)?.classList.add("part");
      }
      const ids = blast ? edges.map((_, nth) => nth).filter((nth) => lit.has(edges[nth].from) && lit.has(edges[nth].to) && edges[nth].need > 0)
        : [...into[chosen], ...outOf[chosen]];
      for (const nth of ids) {
        const edge = edges[nth], from = placed.get(edge.from), to = placed.get(edge.to);
        lit.add(edge.from).add(edge.to);
        if (!from || !to || from === to) continue;
        const { d, x, y } = lineOf.get(nth) || { d: between(from, to) };
        draw("path", { class: `edge ${blast ? "dies" : kindOf(edge)}`, d, "marker-end": `url(#to-${blast ? "refused" : edge.kind})` }, over);
        if (edge.label && x !== undefined) drawLabel(edge.label, x, y, said);
      }
      for (const each of lit) elements.get(each)?.classList.add("lit");
      elements.get(chosen)?.classList.add("chosen");
    }
    $("over").replaceChildren(over, said);
    // Boxes hide the lines behind them; but what stands in a group is in front of the group's own box.
    scene.insertBefore($("over"), view.groups.length ? $("labels") : $("boxes"));
    if (here !== null) (here.group === undefined ? elements.get(here.node) : groupElements.get(here.group))?.classList.add("here");
    if (here !== null) map.setAttribute("aria-activedescendant", here.group === undefined ? `node-${here.node}` : `group-${here.group}`);
    else map.removeAttribute("aria-activedescendant");
  };

  // ---- looking at it: zoom and move
  const look = () => {
    scene.setAttribute("transform", `translate(${left} ${top}) scale(${scale})`);
    const next = scale < 0.36 ? "farther" : scale < 0.62 ? "far" : "near";
    if (next === distance) return;
    distance = next;
    map.classList.toggle("far", next !== "near");
    map.classList.toggle("farther", next === "farther");
    for (const each of map.querySelectorAll("[data-places]")) {
      const [x, y] = JSON.parse(each.dataset.places)[next];
      each.setAttribute("x", x);
      each.setAttribute("y", y);
    }
  };
  const room = () => {
    const { width, height } = map.getBoundingClientRect();
    return { width: width - (panel.hidden || width < 900 ? 0 : panel.offsetWidth), height };
  };
  const fit = () => {
    const { width, height } = room(), pad = 56;
    scale = Math.min(1.35, (width - 2 * pad) / Math.max(1, view.width), (height - 1.5 * pad) / Math.max(1, view.height));
    left = (width - view.width * scale) / 2;
    top = (height - view.height * scale) / 2;
    touched = false;
    look();
  };
  const zoom = (factor, x, y) => {
    const { width, height } = room(), atX = x ?? width / 2, atY = y ?? height / 2;
    const next = Math.max(0.02, Math.min(4, scale * factor));
    left = atX - (atX - left) * next / scale;
    top = atY - (atY - top) * next / scale;
    scale = next;
    touched = true;
    look();
  };
  const reveal = ({ x, y, width, height }, closer) => {
    const space = room();
    if (closer && scale < 0.62) { scale = 0.9; touched = true; }
    const cx = left + (x + width / 2) * scale, cy = top + (y + height / 2) * scale;
    const inside = cx > 90 && cx < space.width - 90 && cy > 60 && cy < space.height - 60;
    if (!inside || closer) { touched = true; left += space.width / 2 - cx; top += space.height / 2 - cy; }
    look();
  };

  // ---- the neighbourhood of a service, or a group with whoever it deals with: columns again
  const columns = (lists) => {
    const shown = [], gapX = 150, gapY = 16, height = 46;
    let x = 0, tallest = 1;
    const width = Math.min(250, Math.max(160, ...lists.flat().map((nth) => 62 + 7.6 * nodes[nth].name.length)));
    for (const list of lists) {
      const most = Math.max(18, Math.ceil(Math.sqrt(list.length * 4)));
      for (let begin = 0; begin < list.length; begin += most) {
        const part = list.slice(begin, begin + most);
        part.forEach((nth, row) => shown.push([nth, x, (row - part.length / 2) * (height + gapY), width, height]));
        tallest = Math.max(tallest, part.length);
        x += width + (begin + most < list.length ? 24 : gapX);
      }
    }
    const top = -tallest / 2 * (height + gapY);
    for (const box of shown) box[2] -= top;
    const at = new Map(shown.map(([nth, bx, by, w, h]) => [nth, { x: bx, y: by, width: w, height: h }]));
    const lines = [];
    edges.forEach((edge, nth) => {
      const from = at.get(edge.from), to = at.get(edge.to);
      if (!from || !to || from === to) return;
      const flows = from.x < to.x;
      const ax = flows ? from.x + from.width : from.x, bx = flows ? to.x : to.x + to.width;
      lines.push([[nth], between(from, to), edge.kind, 0, ax + (bx - ax) * 0.62, (from.y * 0.32 + to.y * 0.68) + height / 2]);
    });
    return { width: Math.max(1, x - gapX), height: tallest * (height + gapY), nodes: shown, groups: [], lines, own: true };
  };
  const every = new Map(data.views[0].nodes.map(([nth, x, y]) => [nth, { x, y }]));
  const byHeight = (a, b) => every.get(a).y - every.get(b).y || a - b;
  const neighbourhood = (nth) => {
    const seen = new Set([nth]);
    const hop = (list, side, end) => {
      const found = new Set(list.flatMap((each) => side[each].map((id) => edges[id][end])).filter((each) => !seen.has(each)));
      for (const each of found) seen.add(each);
      return [...found].sort(byHeight);
    };
    const callers = hop([nth], into, "from"), callees = hop([nth], outOf, "to");
    const before = hop(callers, into, "from"), after = hop(callees, outOf, "to");
    const small = (list) => (list.length <= 40 ? list : []);
    enter(columns([small(before), callers, [nth], callees, small(after)].filter((each) => each.length)));
    choose(nth);
  };
  const groupView = (group) => {
    const members = new Set(group.members);
    const outside = (side, end) => [...new Set(group.members.flatMap((each) => side[each].map((id) => edges[id][end])))].filter((each) => !members.has(each));
    const callees = outside(outOf, "to").sort(byHeight);
    const callers = outside(into, "from").filter((each) => !callees.includes(each)).sort(byHeight);
    const stops = [...new Set(group.members.map((each) => every.get(each).x))].sort((a, b) => a - b);
    const inner = stops.map((stop) => group.members.filter((each) => every.get(each).x === stop).sort(byHeight));
    enter(columns([callers, ...inner, callees].filter((each) => each.length)));
    tell(`${group.name}: ${count(group.members.length, "service")} and whom they deal with`);
  };
  const enter = (next) => {
    trail.push({ view, scale, left, top, touched });
    show(next);
  };
  const back = () => {
    const before = trail.pop();
    if (!before) return;
    show(before.view, false);
    ({ scale, left, top, touched } = before);
    look();
  };

  // ---- the panel
  const tell = (text) => { $("told").textContent = text; };
  const link = (nth) => html("button", { type: "button", class: "link", onclick: () => choose(nth, true) }, nodes[nth].name);
  const tag = (text, kind = "") => html("span", { class: `tag ${kind}` }, text);
  const part = (title, ...inner) => (inner.length ? [html("h3", {}, title), ...inner] : []);
  const findingsOf = (found) => {
    const same = new Map();
    for (const [severity, slug, message, place] of found) {
      const known = same.get(severity + slug + message);
      if (known) known.places.push(place); else same.set(severity + slug + message, { severity, slug, message, places: [place] });
    }
    return [...same.values()].map(({ severity, slug, message, places }) => html("li", {}, tag(severity, severity), html("strong", {}, slug),
      html("small", {}, message), html("small", {}, html("code", {}, places.filter(Boolean).join(", ")))));
  };
  const callsOf = (ids, end) => ids.map((nth) => {
    const edge = edges[nth];
    return html("li", {}, link(edge[end]), " ", edge.access === "permitted" ? "" : tag(edge.access, "refused"),
      tag(edge.security, edge.kind === "plaintext" ? "warning" : ""), edge.label ? tag(edge.label) : "",
      html("small", {}, edge.grounds.join("; ") || "nothing lets it in"));
  });

  const fill = (nth) => {
    const node = nodes[nth], ends = dying(nth);
    const facts = [node.kind, node.under, node.owner].filter(Boolean).join(" · ");
    const zones = Object.entries(node.zones).map(([zone, many]) => tag(zone ? `${zone} ×${many}` : count(many, "endpoint")));
    const labels = Object.entries(node.labels).map(([key, value]) => tag(`${key}: ${value}`));
    const affected = [...ends.whole, ...ends.part];
    const list = (ids, words) => (ids.length ? [html("p", { class: "for" }, words), html("p", {}, ...ids.slice(0, 60).flatMap((each, n) => [n ? ", " : "", link(each)]), ids.length > 60 ? ` and ${ids.length - 60} more` : "")] : []);
    panel.replaceChildren(
      html("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => close() }, "✕"),
      html("h2", {}, node.name),
      html("p", { class: "sub" }, facts),
      html("div", {}, node.mtls ? tag(`mutual TLS: ${node.mtls}`, node.mtls) : "", ...zones, ...labels, ...node.hosts.map((each) => tag(each))),
      html("div", { class: "tools" },
        html("button", { type: "button", onclick: () => neighbourhood(nth) }, "Neighbourhood"),
        html("button", { type: "button", id: "blast", "aria-pressed": String(blast), onclick: () => toggleBlast() }, "What dies with it")),
      ...(node.findings.length ? part("Findings", html("ul", { id: "findings" }, ...findingsOf(node.findings))) : []),
      ...part(`What dies with it (${affected.length})`, html("div", { id: "dies" },
        ...(affected.length ? [...list(ends.whole, "All requests of some route have no other place to go:"), ...list(ends.part, "A share of the requests is lost:")]
          : [html("p", { class: "sub" }, "Nobody's calls need it.")]))),
      ...(into[nth].length ? part(`Callers (${into[nth].length})`, html("ul", { id: "callers" }, ...callsOf(into[nth], "from"))) : []),
      ...(outOf[nth].length ? part(`Calls (${outOf[nth].length})`, html("ul", { id: "calls" }, ...callsOf(outOf[nth], "to"))) : []),
      ...(node.tables.length ? part("Routes", html("div", { id: "routes" }, ...node.tables.flatMap(([callers, routes]) => [
        html("p", { class: "for" }, `for ${callers.length > 8 ? `${callers.length} callers` : callers.map((each) => nodes[each].name).join(", ")}`),
        html("table", {}, html("tbody", {}, ...routes.map(([name, matches, leads, details]) => html("tr", {}, html("td", {}, name),
          html("td", {}, html("code", {}, matches), " → ", leads, details ? html("small", {}, details) : "")))))]))) : []),
      ...(node.policies.length ? part("Policies", html("table", { id: "policies" }, html("tbody", {}, ...node.policies.map(([title, words]) =>
        html("tr", {}, html("td", {}, title), html("td", {}, words)))))) : []));
    panel.scrollTop = 0;
  };

  const toggleBlast = () => {
    blast = !blast;
    $("blast")?.setAttribute("aria-pressed", String(blast));
    mark();
    const { whole, part: some } = dying(chosen);
    tell(blast ? `${whole.length} die with ${nodes[chosen].name}, ${some.length} in part` : "");
  };
  const choose = (nth, closer = false) => {
    if (!elements.has(nth)) {
      // It is in no open group, or not in this neighbourhood: the whole mesh has it.
      trail = [];
      const wanted = data.views.find((each, index) => index >= data.start && each.nodes.length);
      show(wanted);
      picker();
    }
    chosen = nth;
    blast = false;
    here = { node: nth };
    fill(nth);
    panel.hidden = false;
    mark();
    if (!touched) fit();
    reveal(placed.get(nth), closer && scale < 0.62);
    tell(spoken(nth));
  };
  const close = (focused = true) => {
    panel.hidden = true;
    chosen = null;
    blast = false;
    mark();
    if (!touched) fit();
    if (focused) map.focus();
  };

  // ---- moving by keys: the nearest box in that direction
  const where = () => {
    if (here === null) return null;
    return here.group === undefined ? placed.get(here.node) : groupPlaced.get(here.group);
  };
  const step = (dx, dy) => {
    const targets = [...placed].map(([node, box]) => ({ at: { node }, box }));
    if (!placed.size) targets.push(...[...groupPlaced].map(([group, box]) => ({ at: { group }, box })));
    const from = where();
    let best = null, least = Infinity;
    for (const { at, box } of targets) {
      const x = box.x + box.width / 2 - (from ? from.x + from.width / 2 : 0), y = box.y + box.height / 2 - (from ? from.y + from.height / 2 : 0);
      const along = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
      if (from && along <= 1) continue;
      const cost = from ? along + aside * 2.5 : x + y;
      if (cost < least) { least = cost; best = at; }
    }
    if (!best) return;
    here = best;
    mark();
    reveal(where(), false);
    tell(best.group === undefined ? spoken(best.node) : view.groups[best.group].name);
  };
  const open = () => {
    if (here === null) return step(1, 0);
    if (here.group !== undefined) return groupView(view.groups[here.group]);
    choose(here.node);
    panel.focus();
  };

  map.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { ArrowLeft: () => step(-1, 0), ArrowRight: () => step(1, 0), ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
      Enter: open, " ": open, f: () => here?.node !== undefined && neighbourhood(here.node), F: () => here?.node !== undefined && neighbourhood(here.node) };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === $("search") || event.target === $("view");
    if (event.key === "Escape") {
      if (!$("hits").hidden || event.target === $("search")) { $("search").value = ""; seek(); map.focus(); }
      else if (!panel.hidden) close();
      else back();
      event.preventDefault();
    } else if (!typing) {
      const keys = { "/": () => $("search").focus(), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit, t: theme, T: theme };
      if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    }
  });

  // ---- mouse and fingers
  const pointers = new Map();
  let moved = 0, pressed = null;
  map.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = 0;
    pressed = event.target.closest("[data-node],[data-group]");
  });
  map.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const edge = map.getBoundingClientRect();
    if (others.length) {
      const length = (at) => Math.hypot(at.x - others[0].x, at.y - others[0].y);
      const now = { x: event.clientX, y: event.clientY };
      zoom(length(now) / Math.max(1, length(before)), (now.x + others[0].x) / 2 - edge.left, (now.y + others[0].y) / 2 - edge.top);
    } else { touched = true; left += event.clientX - before.x; top += event.clientY - before.y; look(); }
    moved += Math.abs(event.clientX - before.x) + Math.abs(event.clientY - before.y);
    if (moved > 6) { map.classList.add("held"); map.setPointerCapture(event.pointerId); }
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  const lift = (event) => {
    const known = pointers.delete(event.pointerId);
    map.classList.remove("held");
    if (!known || moved > 6 || event.type === "pointercancel") return;
    const nth = Number(pressed?.dataset.node);
    // From afar nobody sees which service of a group it is.
    const around = distance === "farther" && view.groups.find((group) => group.members.includes(nth));
    if (around) groupView(around);
    else if (pressed?.dataset.node !== undefined) choose(nth);
    else if (pressed?.dataset.group !== undefined) groupView(view.groups[Number(pressed.dataset.group)]);
    else if (!panel.hidden) close();
  };
  map.addEventListener("pointerup", lift);
  map.addEventListener("pointercancel", lift);
  map.addEventListener("wheel", (event) => {
    event.preventDefault();
    const edge = map.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.clientX - edge.left, event.clientY - edge.top);
  }, { passive: false });

  // ---- search
  const texts = nodes.map((node) => [node.name, node.owner, ...node.hosts, ...Object.entries(node.labels).map(([key, value]) => `${key}:${value}`)].join(" ").toLowerCase());
  let found = [], nthHit = 0;
  const seek = () => {
    const wanted = $("search").value.trim().toLowerCase();
    const rank = (nth) => { const name = nodes[nth].name.toLowerCase(); return name === wanted ? 0 : name.startsWith(wanted) ? 1 : name.includes(wanted) ? 2 : 3; };
    found = wanted ? nodes.map((_, nth) => nth).filter((nth) => texts[nth].includes(wanted)).sort((a, b) => rank(a) - rank(b) || a - b).slice(0, 12) : [];
    nthHit = 0;
    hits();
  };
  const hits = () => {
    $("hits").replaceChildren(...found.map((nth, index) => html("li", { role: "option", id: `hit-${index}`, "aria-selected": String(index === nthHit),
      onpointerdown: (event) => { event.preventDefault(); take(nth); } }, nodes[nth].name, html("small", {}, nodes[nth].owner || nodes[nth].kind))));
    $("hits").hidden = !found.length;
    $("search").setAttribute("aria-expanded", String(found.length > 0));
    if (found.length) $("search").setAttribute("aria-activedescendant", `hit-${nthHit}`); else $("search").removeAttribute("aria-activedescendant");
  };
  const take = (nth) => { $("search").value = ""; seek(); choose(nth, true); map.focus(); };
  $("search").addEventListener("input", seek);
  $("search").addEventListener("blur", () => { found = []; hits(); });
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      nthHit = (nthHit + (event.key === "ArrowDown" ? 1 : found.length - 1)) % Math.max(1, found.length);
      hits();
    } else if (event.key === "Enter" && found.length) { event.preventDefault(); take(found[nthHit]); }
  });

  // ---- the bar
  const picker = () => { $("view").value = String(data.views.indexOf(view)); };
  data.views.forEach((each, nth) => $("view").append(html("option", { value: String(nth) }, nth ? `by ${each.title}` : "every service")));
  $("view").addEventListener("change", () => { trail = []; show(data.views[Number($("view").value)]); });
  $("back").addEventListener("click", () => { trail.splice(1); back(); });
  $("in").addEventListener("click", () => zoom(1.25));
  $("out").addEventListener("click", () => zoom(0.8));
  $("fit").addEventListener("click", fit);
  const theme = () => {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  };
  $("theme").addEventListener("click", theme);

  const kinds = new Set(edges.map((edge) => edge.kind)), proxies = new Set(nodes.map((node) => node.proxy));
  const line = (kind, copy, words) => {
    const icon = draw("svg", { viewBox: "0 0 34 12", "aria-hidden": "true" });
    draw("path", { class: `edge ${kind}${copy}`, d: "M1 6h32" }, icon);
    return html("div", { class: "row" }, icon, words);
  };
  const colour = (name) => {
    const icon = draw("svg", { viewBox: "0 0 34 12", "aria-hidden": "true" });
    const inner = draw("g", { class: name }, icon);
    draw("rect", { class: "stripe", x: 1, y: 2, width: 32, height: 8, rx: 3 }, inner);
    return html("div", { class: "row" }, icon, name);
  };
  $("legend").append(
    ...[["mtls", "mutual TLS"], ["tls", "TLS, outside"], ["plaintext", "plaintext"], ["refused", "refused by its callee"], ["idle", "no requests"]].filter(([kind]) => kinds.has(kind)).map(([kind, words]) => line(kind, "", words)),
    ...(edges.some((edge) => edge.copy) ? [line("mtls", " copy", "copies only")] : []),
    ...["envoy", "haproxy", "nginx"].filter((name) => proxies.has(name)).map(colour));
  const number = (kind, noun) => { const many = nodes.filter((node) => node.kind === kind).length; return many ? count(many, noun) : ""; };
  $("mesh").textContent = data.mesh;
  $("counts").textContent = [number("service", "service"), number("gateway", "gateway"), number("external", "external"), count(edges.length, "call"),
    count(data.findings.length + nodes.reduce((sum, node) => sum + node.findings.length, 0), "finding")].filter(Boolean).join(" · ");
  addEventListener("resize", () => (touched ? look() : fit()));
  show(data.views[data.start]);
  picker();
  document.documentElement.dataset.ready = "yes";
})();
