"use strict";
(() => {
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const root = document.documentElement;
  const PAPER_WIDTH = 660;
  const COLOURS = 8;
  let drawn = [];

  const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
  const duration = (seconds) => {
    if (seconds === 0) return "0";
    const three = (value) => String(Number(value.toPrecision(3)));
    if (seconds < 0.001) return three(seconds * 1e6) + " µs";
    if (seconds < 1) return three(seconds * 1e3) + " ms";
    return seconds < 600 ? three(seconds) + " s" : three(seconds / 60) + " m";
  };
  const UNITS = {
    ms: (value) => duration(value / 1e3),
    s: duration,
    percent: (value) => number.format(value) + " %",
    rate: (value) => number.format(value),
    count: (value) => number.format(value),
  };
  const clock = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (value) => String(value).padStart(2, "0");
    const rest = two(Math.floor(whole / 60) % 60) + ":" + two(whole % 60);
    return whole < 3600 ? rest : Math.floor(whole / 3600) + ":" + rest;
  };
  const percentile = (odds) => String(Number((100 * (1 - 1 / odds)).toPrecision(7))) + " %";

  // Faults shaded and numbered, stages parted by hairlines with their names above.
  const backdrop = (spec, colour) => (u) => {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio || 1;
    const at = (time) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, u.valToPos(time, "x", true)));
    ctx.save();
    ctx.font = `${11 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textBaseline = "top";
    spec.bands.forEach(([from, until], index) => {
      const left = at(from);
      const width = Math.max(at(until) - left, 2 * ratio);
      if (u.scales.x.max < from || u.scales.x.min > until) return;
      ctx.fillStyle = colour("--band");
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.fillStyle = colour("--bad");
      ctx.fillText(String(index + 1), left + 4 * ratio, bbox.top + 3 * ratio);
    });
    ctx.strokeStyle = colour("--rule");
    ctx.fillStyle = colour("--soft");
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.textBaseline = "bottom";
    let free = bbox.left;
    spec.stages.forEach(([time, name], index) => {
      const next = spec.stages[index + 1];
      const left = at(time);
      const end = next ? at(next[0]) : bbox.left + bbox.width;
      if (index > 0 && left > bbox.left && left < bbox.left + bbox.width) {
        ctx.beginPath();
        ctx.moveTo(left, bbox.top);
        ctx.lineTo(left, bbox.top + bbox.height);
        ctx.stroke();
      }
      const width = ctx.measureText(name).width;
      if (left >= free && left + width < Math.max(end, left + 1) + 2 * ratio) {
        ctx.fillText(name, left + 2 * ratio, bbox.top - 3 * ratio);
        free = left + width;
      }
    });
    ctx.restore();
  };

  const options = (spec, width, colour) => {
    const unit = UNITS[spec.unit];
    const isTime = spec.kind === "time";
    const said = isTime ? clock : percentile;
    const grid = { stroke: colour("--grid"), width: 1 };
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: colour("--soft"), grid, ticks: { ...grid, size: 4 }, font, gap: 4 };
    // The fastest few say little and would stretch the scale over decades; they are in the table.
    const there = (values) => values.filter((value) => value != null && value > 0);
    const typical = isTime ? [] : there(spec.series.map((one) => one.y[spec.x.findIndex((odds) => odds >= 2)]));
    const floor = typical.length ? Math.min(...typical) / 10 : 0;
    const tall = isTime ? [] : there(spec.series.flatMap((one) => one.y)).filter((value) => value >= floor);
    const nines = [1, 2, 4, 10, 100, 1e3, 1e4, 1e5, 1e6].filter((odds) => odds <= spec.x[spec.x.length - 1] * 1.001);
    return {
      width,
      height: spec.height,
      padding: [isTime ? 20 : 10, 24, 0, 0],
      cursor: { sync: isTime ? { key: "time", setSeries: false } : undefined, drag: { x: isTime, y: false }, points: { size: 5 } },
      legend: { live: true, markers: { width: 2, dash: (u, index) => (u.series[index].dash ? "dashed" : "solid") } },
      scales: {
        x: isTime ? { time: false } : { time: false, distr: 3, range: () => [1, spec.x[spec.x.length - 1]] },
        y: spec.log
          ? { distr: 3, range: tall.length ? () => uPlot.rangeLog(Math.min(...tall), Math.max(...tall), 10, false) : undefined }
          : { range: (u, low, high) => [0, uPlot.rangeNum(0, Math.max(high ?? 0, spec.ceiling ?? 0, 1e-3), 0.1, true)[1]] },
      },
      axes: [
        isTime
          ? { ...axis, size: 28, space: 70, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200], values: (u, marks) => marks.map(clock) }
          : { ...axis, size: 28, splits: () => nines, filter: (u, marks) => marks, values: (u, marks) => marks.map(percentile) },
        { ...axis, size: 62, values: (u, marks) => marks.map((mark) => (mark == null ? "" : unit(mark))) },
      ],
      series: [
        { label: isTime ? "time" : "percentile", value: (u, value) => (value == null ? "" : said(value)) },
        ...spec.series.map((one) => ({
          label: one.label,
          stroke: colour(one.colour ? `--c${((one.colour - 1) % COLOURS) + 1}` : "--c0"),
          width: spec.x.length > 700 ? 1 : 1.5,
          dash: one.dash ? [6, 4] : undefined,
          spanGaps: false,
          points: { show: spec.x.length < 3 },
          value: (u, value) => (value == null ? "" : unit(value)),
        })),
      ],
      hooks: { drawClear: isTime ? [backdrop(spec, colour)] : [] },
    };
  };

  const draw = () => {
    drawn.forEach((chart) => chart.destroy());
    const styles = getComputedStyle(root);
    const colour = (name) => styles.getPropertyValue(name).trim();
    drawn = specs.map((spec, index) => {
      const place = document.getElementById(`chart-${index}`);
      const width = root.classList.contains("on-paper") ? PAPER_WIDTH : Math.max(280, place.clientWidth);
      const heights = spec.series.map((one) => (spec.log ? one.y.map((value) => (value == null ? null : Math.max(value, 1e-3))) : one.y));
      return new uPlot(options(spec, width, colour), [spec.x, ...heights], place);
    });
  };

  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      drawn.forEach((chart, index) => {
        const place = document.getElementById(`chart-${index}`);
        chart.setSize({ width: Math.max(280, place.clientWidth), height: specs[index].height });
      });
    }, 100);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  // On paper: light colours, the width of the page, and the scenario unfolded.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    root.classList.add("on-paper");
    unfolded = [...document.querySelectorAll("details:not([open]):has(pre)")];
    unfolded.forEach((one) => { one.open = true; });
    draw();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("on-paper");
    unfolded.forEach((one) => { one.open = false; });
    draw();
  });
  draw();
})();
