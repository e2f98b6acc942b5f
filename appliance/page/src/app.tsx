// Which page is shown for which address.
import type { ComponentChildren } from "preact";
import { lazy } from "./lib/lazy";
import { place } from "./lib/place";
import { language } from "./lib/language";
import { standing } from "./api/session";
import { Shell } from "./parts/shell";
import { Waiting } from "./parts/basics";
import { SignIn } from "./pages/sign-in";
import { Overview } from "./pages/overview";
import { NotFound } from "./pages/not-found";

// The first view is small; the rest comes when it is needed.
const Machines = lazy(() => import("./pages/machines").then((m) => m.Machines));
const Machine = lazy(() => import("./pages/machine").then((m) => m.Machine));
const Point = lazy(() => import("./pages/point").then((m) => m.Point));
const Files = lazy(() => import("./pages/files").then((m) => m.Files));
const Compare = lazy(() => import("./pages/files").then((m) => m.Compare));
const Disaster = lazy(() => import("./pages/disaster").then((m) => m.Disaster));
const DisasterRun = lazy(() => import("./pages/disaster").then((m) => m.DisasterRun));
const Vms = lazy(() => import("./pages/vms").then((m) => m.Vms));
const Vm = lazy(() => import("./pages/vms").then((m) => m.Vm));
const Screens = lazy(() => import("./pages/vms").then((m) => m.Screens));
const Tests = lazy(() => import("./pages/tests").then((m) => m.Tests));
const Test = lazy(() => import("./pages/tests").then((m) => m.Test));
const Jobs = lazy(() => import("./pages/jobs").then((m) => m.Jobs));
const Job = lazy(() => import("./pages/jobs").then((m) => m.Job));
const Alerts = lazy(() => import("./pages/alerts").then((m) => m.Alerts));
const Policies = lazy(() => import("./pages/policies").then((m) => m.Policies));
const Policy = lazy(() => import("./pages/policies").then((m) => m.Policy));
const Hosts = lazy(() => import("./pages/hosts").then((m) => m.Hosts));
const Host = lazy(() => import("./pages/hosts").then((m) => m.Host));
const Storage = lazy(() => import("./pages/storage").then((m) => m.Storage));
const Reports = lazy(() => import("./pages/reports").then((m) => m.Reports));
const Access = lazy(() => import("./pages/access").then((m) => m.Access));
const Settings = lazy(() => import("./pages/settings").then((m) => m.Settings));

function page(parts: string[]): ComponentChildren {
  const [kind = "", first, second] = parts;
  switch (kind) {
    case "": return <Overview />;
    case "machines": return first && second ? <Machine key={parts.join("/")} tenant={first} name={second} /> : <Machines />;
    case "points": return first && second ? <Point key={second} tenant={first} id={second} /> : <NotFound />;
    case "files": return first && second ? <Files key={second} tenant={first} id={second} /> : <NotFound />;
    case "compare": return first && second ? <Compare key={second} tenant={first} id={second} /> : <NotFound />;
    case "disaster": return first ? <DisasterRun key={first} job={first} /> : <Disaster />;
    case "vms": return first ? <Vm key={first} id={first} /> : <Vms />;
    case "screens": return <Screens />;
    case "tests": return first && second ? <Test key={second} tenant={first} number={second} /> : <Tests />;
    case "jobs": return first ? <Job key={first} id={first} /> : <Jobs />;
    case "alerts": return <Alerts />;
    case "policies": return first && second ? <Policy key={parts.join("/")} tenant={first} name={second} /> : <Policies />;
    case "hosts": return first ? <Host key={first} id={first} /> : <Hosts />;
    case "storage": return <Storage />;
    case "reports": return <Reports />;
    case "access": return <Access />;
    case "settings": return <Settings />;
    default: return <NotFound />;
  }
}

export function App() {
  void language.value; // every text changes with it
  if (standing.value === "asking") return <main class="alone"><Waiting what="wait.start" /></main>;
  if (standing.value !== "signed-in") return <SignIn />;
  return <Shell>{page(place.value.parts)}</Shell>;
}
