import "uplot/dist/uPlot.min.css";
import "./main.css";
import { render } from "preact";
import { begin } from "./api/session";
import "./api/live";
import "./lib/theme";
import { App } from "./app";

void begin();
render(<App />, document.getElementById("page")!);
