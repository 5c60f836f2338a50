import { NONE, frameAfter, switchOf, visitOf } from "./data.js";
import { el } from "./dom.js";
import { DIMMED, View, colors, extent, mixed } from "./charts.js";

const PAD = [82, 54];
/** Opacity of what the run does, but not in the episode that is shown. */
const ABSENT = 0.3;

/** States as nodes, switches as arrows; what is lit is where the film is. */
export class Graph extends View {
  #lit = null;
  #edge = null;
  #absent = {states: [], edges: []};

  /**
   * @param onNode called with a state that was clicked
   * @param onEdge called with an edge that was clicked
   */
  constructor(onNode, onEdge) {
    super("graph", "Transition graph", 0);
    this.onNode = onNode;
    this.onEdge = onEdge;
  }

  start() {
    super.start();
    this.chart.on("click", {seriesIndex: 0}, ({dataType, dataIndex}) => {
      if (dataType === "edge") this.onEdge(this.run.graph.edges[dataIndex]);
      else this.onNode(dataIndex);
    });
  }

  show(run, episode) {
    const isAbsent = (wanted) => frameAfter(episode, -1, wanted) === null;
    this.#absent = {
      states: run.states.map((_, i) => isAbsent(visitOf(i))),
      edges: run.graph.edges.map((edge) => isAbsent(switchOf(edge))),
    };
    super.show(run, episode);
    const main = [...run.graph.edges].sort((a, b) => b.share - a.share).slice(0, 4);
    const told = main.map(({source, target, share}) =>
      `${run.states[source].key} to ${run.states[target].key} ${Math.round(share * 100)} %`);
    this.tell(`most frequent switches ${told.join(", ") || "none"}`);
    this.note("");
  }

  /** Say below the graph what came of a click. */
  note(text) {
    const {states, edges} = this.#absent;
    const absent = states.includes(true) || edges.includes(true)
      ? "Faint and dotted: not in this episode." : "";
    this.caption.replaceChildren(
      [this.run.graph.caption, absent, "Click a node or an arrow to go to its next occurrence. "]
        .filter(Boolean).join(" "),
      el("strong", {}, text));
  }

  /** Light the state of this frame, and the switch that led to it. */
  place() {
    const {state, path} = this.episode;
    const now = state[this.frame] === NONE ? null : state[this.frame];
    let begun = this.frame;
    while (path[begun - 1] === path[begun]) begun--;
    const edge = this.run.graph.edges.findIndex((each) => switchOf(each)(this.episode, begun));
    if (now !== this.#lit) {
      this.#light("downplay", "node", this.#lit);
      this.#light("highlight", "node", now);
      this.#lit = now;
    }
    if (edge !== this.#edge) {
      this.#light("downplay", "edge", this.#edge);
      this.#light("highlight", "edge", edge);
      this.#edge = edge;
    }
  }

  #light(type, dataType, dataIndex) {
    if (dataIndex === null || dataIndex < 0) return;
    this.chart.dispatchAction({type, seriesIndex: 0, dataType, dataIndex});
  }

  draw() {
    const own = colors();
    const {states, graph} = this.run;
    const xs = extent(graph.xy.map(([x]) => x));
    const ys = extent(graph.xy.map(([, y]) => y));
    const scale = Math.min(
      (this.width - 2 * PAD[0]) / (xs[1] - xs[0] || 1), (this.height - 2 * PAD[1]) / (ys[1] - ys[0] || 1));
    const axis = (size, [low, high]) => ({
      type: "value", show: false, min: (low + high - size / scale) / 2,
      max: (low + high + size / scale) / 2,
    });
    const widest = Math.max(...graph.edges.map(({share}) => share), 0.01);
    // Names stand on the side that looks away from the middle, where no arrow is.
    const outwards = ([x, y]) => {
      const [dx, dy] = [x - (xs[0] + xs[1]) / 2, y - (ys[0] + ys[1]) / 2];
      if (Math.abs(dx) > Math.abs(dy)) return dx > 0 ? "right" : "left";
      return dy > 0 ? "top" : "bottom";
    };
    const width = (share) => 1 + (6 * share) / widest;
    const size = (i) => 24 + 40 * Math.sqrt(states[i].share);
    this.option({
      grid: {left: 0, right: 0, top: 0, bottom: 0},
      xAxis: axis(this.width, xs), yAxis: axis(this.height, ys),
      tooltip: {renderMode: "richText", confine: true, backgroundColor: own.card,
        borderColor: own.rule, textStyle: {color: own.ink, fontSize: 12}},
      series: [{
        type: "graph", coordinateSystem: "cartesian2d", layout: "none", edgeSymbol: ["none", "arrow"],
        stateAnimation: {duration: 0}, z: 3,
        tooltip: {formatter: (item) => this.#tooltip(item)},
        data: graph.xy.map((xy, i) => ({
          name: `${i}`, value: xy, symbolSize: size(i),
          // Opaque: arrows end behind a node, and must not shine through it.
          itemStyle: {borderColor: own.card, borderWidth: 2, color: mixed(states[i].color, own.card,
            !this.keeps(i) ? DIMMED * 2 : this.#absent.states[i] ? ABSENT : 1)},
          label: {show: true, formatter: states[i].key, fontSize: 14, fontWeight: 700,
            color: this.keeps(i) && !this.#absent.states[i] ? states[i].ink : own.soft},
          emphasis: {itemStyle: {color: states[i].color, borderColor: own.ink, borderWidth: 4}},
        })),
        links: graph.edges.map(({source, target, share, main}, i) => ({
          source, target, value: share, symbolSize: [0, 7 + (9 * share) / widest],
          lineStyle: {
            width: width(share), curveness: 0.2, color: main ? own.ink : own.soft,
            type: this.#absent.edges[i] ? "dotted" : "solid",
            opacity: !(this.keeps(source) || this.keeps(target)) ? DIMMED
              : this.#absent.edges[i] ? ABSENT : main ? 0.8 : 0.4,
          },
          emphasis: {lineStyle: {color: own.link, opacity: 1, width: width(share) + 1}},
        })),
      }, {
        type: "scatter", silent: true, z: 4, itemStyle: {opacity: 0},
        data: graph.xy.map((xy, i) => ({
          value: xy, symbolSize: size(i),
          label: {show: true, distance: 8, formatter: states[i].name,
            color: own.soft, fontSize: 11, position: outwards(xy), textBorderColor: own.card, textBorderWidth: 3,
            opacity: this.keeps(i) ? 1 : 0.3},
        })),
        labelLayout: {hideOverlap: true},
      }],
    });
    this.#lit = this.#edge = null;
    this.place();
  }

  #tooltip({dataType, dataIndex}) {
    const {states, graph} = this.run;
    if (dataType !== "edge") {
      const {key, name, share} = states[dataIndex];
      return `${key} ${name}: ${(share * 100).toFixed(1)} % of the time`;
    }
    const {source, target, count, share} = graph.edges[dataIndex];
    return `${states[source].key} → ${states[target].key}: ${count} times, ` +
      `${(share * 100).toFixed(1)} % of all switches`;
  }
}
