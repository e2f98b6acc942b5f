// What can be done with a point, wherever it is shown.
import { useState } from "preact/hooks";
import { post, put, remove, type Schemas } from "../api/client";
import { may } from "../api/session";
import { at, quoted, size } from "../lib/format";
import { t } from "../lib/language";
import { go, link } from "../lib/place";
import { useAnswer } from "../api/use";
import { Action, CopyCommand, Field, say, Shown, Text } from "./basics";
import { Confirm, Dialog } from "./dialog";
import { commandTenant } from "./machine-bits";

export interface PointFacts { id: string; machine: string; tenant: string; time: string; hold?: Schemas["Hold"] | null | undefined }

export function jobStarted(job: Schemas["Job"]) {
  say(<a href={link(["jobs", job.id])}>{t("job.started", { id: String(job.id) })}</a>);
}

export function PointActions({ point, changed, gone }: { point: PointFacts; changed: () => void; gone: () => void }) {
  const [asking, setAsking] = useState<"boot" | "restore" | "hold" | "delete" | undefined>();
  const close = () => setAsking(undefined);
  const words = { path: { point: point.id }, query: { tenant: point.tenant } };
  const when = at(point.time);
  const suffix = commandTenant(point.tenant);
  return (
    <>
      {may("vm-start") && <button type="button" class="main" onClick={() => setAsking("boot")}>{t("action.boot")}</button>}
      {may("verification-start") && (
        <Action run={async () => jobStarted((await post("/api/v1/verifications", { query: { tenant: point.tenant } }, { point: point.id })).job)}>{t("action.test")}</Action>
      )}
      {may("file-view") && <a class="button" href={link(["files", point.tenant, point.id])}>{t("action.files")}</a>}
      {may("point-restore") && <button type="button" class="plain" onClick={() => setAsking("restore")}>{t("action.restore")}</button>}
      {may("point-hold") && (point.hold ? (
        <Action run={async () => { await remove("/api/v1/points/{point}/hold", words); say(t("point.released")); changed(); }}>{t("action.release")}</Action>
      ) : <button type="button" class="plain" onClick={() => setAsking("hold")}>{t("action.hold")}</button>)}
      {may("point-delete") && <button type="button" class="quiet danger-text" onClick={() => setAsking("delete")}>{t("action.delete")}</button>}
      {asking === "boot" && <StartDialog point={point} close={close} />}
      {asking === "restore" && <RestoreDialog point={point} close={close} />}
      {asking === "hold" && <HoldDialog point={point} close={close} changed={changed} />}
      {asking === "delete" && (
        <Confirm title={t("point.delete.title")} action={t("action.delete")} danger name={point.machine} close={close}
          run={async () => { jobStarted((await remove("/api/v1/points/{point}", words)).job); gone(); }}>
          <p>{t("point.delete.lost", { machine: point.machine, time: when })}</p>
          <CopyCommand command={`muletto point delete ${point.id}${suffix}`} />
        </Confirm>
      )}
    </>
  );
}

function HoldDialog({ point, close, changed }: { point: PointFacts; close: () => void; changed: () => void }) {
  const [reason, setReason] = useState("");
  const [until, setUntil] = useState("");
  return (
    <Confirm title={t("point.hold.title")} action={t("action.hold")} close={close} run={async () => {
      await put("/api/v1/points/{point}/hold", { path: { point: point.id }, query: { tenant: point.tenant } }, { reason, ...(until ? { until } : {}) });
      say(t("point.held"));
      changed();
    }}>
      <p>{t("point.hold.text")}</p>
      <Field label={t("point.hold.reason")}><Text value={reason} set={setReason} maxLength={1000} autoFocus /></Field>
      <Field label={t("point.hold.until")} hint={t("point.hold.until.hint")}><Text type="date" value={until} set={setUntil} /></Field>
      <CopyCommand command={`muletto point hold ${point.id} --reason ${quoted(reason || "…")}${until ? ` --until ${until}` : ""}${commandTenant(point.tenant)}`} />
    </Confirm>
  );
}

export function StartDialog({ point, close }: { point: PointFacts; close: () => void }) {
  const [network, setNetwork] = useState("isolated");
  const [original, setOriginal] = useState("");
  const [memory, setMemory] = useState("");
  const [check, setCheck] = useState<Schemas["BootCheck"]>();
  const memorySize = Number(memory) > 0 ? Math.round(Number(memory) * 1048576) : undefined;
  const order = { point: point.id, networks: [network], ...(original ? { original } : {}), ...(memorySize ? { memory_size: memorySize } : {}) } as Schemas["BootOrder"];
  const query = { tenant: point.tenant };
  return (
    <Confirm title={t("boot.title", { machine: point.machine })} action={t("action.boot")} close={close} run={async () => {
      const { job } = await post("/api/v1/boots", { query }, order);
      jobStarted(job);
      go(link(["jobs", job.id], { then: "vm" }));
    }}>
      <p>{t("boot.text", { time: at(point.time) })}</p>
      <Field label={t("boot.network")} hint={t(`network.${network as "nat"}`)}>
        <select value={network} onChange={(event) => setNetwork(event.currentTarget.value)}>
          {(["isolated", "nat", "none"] as const).map((each) => <option key={each} value={each}>{t(`network.${each}.name`)}</option>)}
        </select>
      </Field>
      <Field label={t("boot.memory")} hint={t("boot.memory.hint")}><Text type="number" min="16" value={memory} set={setMemory} /></Field>
      <Field label={t("boot.original")} hint={t("boot.original.hint")}>
        <select value={original} onChange={(event) => setOriginal(event.currentTarget.value)}>
          <option value="">{t("boot.original.gone")}</option><option value="beside">{t("boot.original.beside")}</option><option value="replaced">{t("boot.original.replaced")}</option>
        </select>
      </Field>
      <div class="inline">
        <Action run={async () => setCheck((await post("/api/v1/boots/check", { query }, order)).check)}>{t("boot.check")}</Action>
        <CopyCommand command={`muletto boot start ${point.id} --network ${network}${memorySize ? ` --memory ${memory}M` : ""}${original ? ` --original ${original}` : ""}${commandTenant(point.tenant)}`} />
      </div>
      {check && (
        <div class="check-result" role="status">
          <p class={check.possible ? "strong-good" : "strong-bad"}>{check.possible ? t("disaster.fits") : t("disaster.against")} · {t("boot.hardware", { cpus: t("count.cpus", { count: check.cpu_count }), memory: size(check.memory_size), firmware: check.firmware.toUpperCase() })}</p>
          <ul lang="en">{[...check.reasons, ...check.notes].map((each) => <li key={each}>{each}</li>)}</ul>
        </div>
      )}
    </Confirm>
  );
}

function RestoreDialog({ point, close }: { point: PointFacts; close: () => void }) {
  const [where, setWhere] = useState<"appliance" | "host">("appliance");
  return (
    <Dialog title={t("restore.title", { machine: point.machine })} close={close}>
      <div class="timeline-tools" role="group" aria-label={t("restore.where")}>
        <button type="button" class={`chip${where === "appliance" ? " on" : ""}`} aria-pressed={where === "appliance"} onClick={() => setWhere("appliance")}>{t("restore.appliance")}</button>
        {may("host-restore") && <button type="button" class={`chip${where === "host" ? " on" : ""}`} aria-pressed={where === "host"} onClick={() => setWhere("host")}>{t("restore.host")}</button>}
      </div>
      {where === "appliance" ? <ToAppliance point={point} close={close} /> : <ToHost point={point} close={close} />}
    </Dialog>
  );
}

function ToAppliance({ point, close }: { point: PointFacts; close: () => void }) {
  const [folder, setFolder] = useState(point.machine.replace(/[^\w.-]/g, "-"));
  const [format, setFormat] = useState("qcow2");
  return (
    <form onSubmit={(event) => event.preventDefault()}>
      <p>{t("restore.appliance.text")}</p>
      <Field label={t("restore.folder")}><Text value={folder} set={setFolder} /></Field>
      <Field label={t("restore.format")}>
        <select value={format} onChange={(event) => setFormat(event.currentTarget.value)}>{["qcow2", "raw", "vmdk", "vhdx", "vdi"].map((each) => <option key={each}>{each}</option>)}</select>
      </Field>
      <CopyCommand command={`muletto restore start ${point.id} --folder ${quoted(folder)} --format ${format}${commandTenant(point.tenant)}`} />
      <div class="dialog-actions">
        <Action tone="main" disabled={!folder} run={async () => {
          const answer = await post("/api/v1/restores", { query: { tenant: point.tenant } }, { point: point.id, folder, format } as never);
          jobStarted((answer as { job: Schemas["Job"] }).job);
          close();
        }}>{t("action.restore")}</Action>
      </div>
    </form>
  );
}

function ToHost({ point, close }: { point: PointFacts; close: () => void }) {
  const hosts = useAnswer("/api/v1/hosts");
  const [host, setHost] = useState("");
  const [folder, setFolder] = useState("/var/lib/libvirt/images");
  const [define, setDefine] = useState(true);
  const [start, setStart] = useState(false);
  return (
    <Shown asked={hosts} what="wait.hosts">
      {(data) => {
        const able = data.hosts.filter((each) => !each.revoked && each.tenant === point.tenant);
        const target = host || able[0]?.name || "";
        if (able.length === 0) return <p>{t("restore.host.none")}</p>;
        return (
          <form onSubmit={(event) => event.preventDefault()}>
            <p>{t("restore.host.text")}</p>
            <Field label={t("column.host")}><select value={target} onChange={(event) => setHost(event.currentTarget.value)}>{able.map((each) => <option key={each.id}>{each.name}</option>)}</select></Field>
            <Field label={t("restore.folder")}><Text value={folder} set={setFolder} /></Field>
            <label class="check"><input type="checkbox" checked={define} onChange={(event) => setDefine(event.currentTarget.checked)} />{t("restore.define")}</label>
            <label class="check"><input type="checkbox" checked={start} onChange={(event) => setStart(event.currentTarget.checked)} />{t("restore.start")}</label>
            <CopyCommand command={`muletto restore to-host ${point.id} ${quoted(target)} --folder ${quoted(folder)}${define ? " --define" : ""}${start ? " --start" : ""}${commandTenant(point.tenant)}`} />
            <div class="dialog-actions">
              <Action tone="main" run={async () => {
                const answer = await post("/api/v1/restores", { query: { tenant: point.tenant } }, { target: "host", host: target, point: point.id, folder, define, start } as never);
                jobStarted((answer as { job: Schemas["Job"] }).job);
                close();
              }}>{t("action.restore")}</Action>
            </div>
          </form>
        );
      }}
    </Shown>
  );
}
