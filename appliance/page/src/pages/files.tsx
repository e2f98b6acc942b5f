// The files of a point: folders, search, preview, download; and what changed since an older point.
import { useEffect, useState } from "preact/hooks";
import { address, download, get, lines, post, request, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { at, fully, quoted, size } from "../lib/format";
import { number, t } from "../lib/language";
import { link, place, setQuery } from "../lib/place";
import { Action, Card, CopyCommand, Empty, Field, Head, Pill, say, Shown, Text, Trouble, usePage, Waiting } from "../parts/basics";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { commandTenant } from "../parts/machine-bits";

type FileFacts = Schemas["File"];
type Look = Schemas["FileLook"];
const kPreviewSize = 512 * 1024, kPictureSize = 8 << 20;
const pictures: Record<string, string> = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", bmp: "image/bmp" };
const extension = (name: string) => /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
const within = (folder: string, name: string) => `${folder.endsWith("/") ? folder : `${folder}/`}${name}`;
const fileName = (path: string) => path.split("/").pop() || path;

export function Files({ tenant, id }: { tenant: string; id: string }) {
  const [look, setLook] = useState<string>();
  const point = useAnswer("/api/v1/points/{point}", { path: { point: id }, query: { tenant } });
  const asked = useAnswer("/api/v1/points/{point}/files", { path: { point: id }, query: { tenant, look } });
  const path = place.value.query.get("path") ?? "";
  const facts = point.data?.point;
  return (
    <>
      <Head title={facts ? t("files.title", { machine: facts.machine }) : t("action.files")} back={{ href: link(["points", tenant, id]), text: facts ? fully(facts.time) : t("test.point") }}>
        <CopyCommand command={`muletto files list ${id}${path ? ` ${quoted(path)}` : ""}${commandTenant(tenant)}`} />
      </Head>
      <Shown asked={asked} what="wait.files">
        {(data) => ("look" in data ? (
          <>
            <Volumes look={data.look} path={path} tenant={tenant} id={id} unlock={setLook} />
            {path && <Folder key={path} tenant={tenant} id={id} path={path} look={look} />}
          </>
        ) : null)}
      </Shown>
    </>
  );
}

function Volumes({ look, path, tenant, id, unlock }: { look: Look; path: string; tenant: string; id: string; unlock: (look: string) => void }) {
  const [asking, setAsking] = useState(false);
  const locked = look.unread.filter((each) => each.needs_key);
  return (
    <Card title={t("files.volumes")} note={t("files.volumes.note")}>
      {look.volumes.length === 0 && <Empty title={t("files.none")}>{t("files.none.text")}</Empty>}
      <ul class="plain volumes">
        {look.volumes.map((volume) => {
          const root = `${volume.name}:/`;
          return (
            <li key={volume.name}>
              <a class={path.startsWith(root) ? "on" : ""} href={link(["files", tenant, id], { path: root })}><Icon name="storage" /><strong>{volume.label || volume.name}</strong>
                <span class="muted small-text">{volume.type} · {size(volume.size)}{volume.origin ? ` · ${volume.origin}` : ""}</span></a>
              {volume.notes.map((each) => <p key={each} class="muted small-text" lang="en">{each}</p>)}
            </li>
          );
        })}
        {look.unread.map((each) => <li key={each.name} class="unread"><Icon name={each.needs_key ? "lock" : "warning"} /><span><strong>{each.name}</strong> <span class="muted" lang="en">{each.reason}</span></span></li>)}
      </ul>
      {look.notes.map((each) => <p key={each} class="muted" lang="en">{each}</p>)}
      {locked.length > 0 && <button type="button" class="plain" onClick={() => setAsking(true)}>{t("files.unlock")}</button>}
      {asking && <Unlock tenant={tenant} id={id} close={() => setAsking(false)} unlock={unlock} />}
    </Card>
  );
}

function Unlock({ tenant, id, close, unlock }: { tenant: string; id: string; close: () => void; unlock: (look: string) => void }) {
  const [secret, setSecret] = useState("");
  return (
    <Dialog title={t("files.unlock")} close={close}>
      <p>{t("files.unlock.text")}</p>
      <Field label={t("files.secret")}><Text type="password" value={secret} set={setSecret} /></Field>
      <div class="dialog-actions"><Action tone="main" disabled={!secret} run={async () => {
        const answer = await post("/api/v1/points/{point}/files/looks", { path: { point: id }, query: { tenant } }, { secrets: [secret] });
        unlock(answer.look.id);
        close();
      }}>{t("files.unlock")}</Action></div>
    </Dialog>
  );
}

function Crumbs({ tenant, id, path }: { tenant: string; id: string; path: string }) {
  const [volume = "", rest = ""] = path.split(":/", 2);
  const names = rest.split("/").filter(Boolean);
  return (
    <nav class="crumbs" aria-label={t("files.path")}>
      <a href={link(["files", tenant, id], { path: `${volume}:/` })}>{volume}</a>
      {names.map((name, index) => <span key={index}><span aria-hidden="true"> / </span><a href={link(["files", tenant, id], { path: `${volume}:/${names.slice(0, index + 1).join("/")}` })}>{name}</a></span>)}
    </nav>
  );
}

function Folder({ tenant, id, path, look }: { tenant: string; id: string; path: string; look: string | undefined }) {
  const [files, setFiles] = useState<FileFacts[]>([]);
  const [problems, setProblems] = useState<{ name: string; reason: string }[]>([]);
  const [next, setNext] = useState<string | null>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(true);
  const [wanted, setWanted] = useState("");
  const [preview, setPreview] = useState<FileFacts & { at: string }>();
  const load = async (after?: string) => {
    setBusy(true);
    try {
      const page = await get("/api/v1/points/{point}/files", { path: { point: id }, query: { tenant, path, look, after, limit: 1000 } });
      if (!("files" in page)) return;
      setFiles((before) => (after ? [...before, ...page.files] : page.files));
      setProblems((before) => (after ? [...before, ...page.problems] : page.problems));
      setNext(page.next);
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => void load(), [id, path, look]);
  const sorted = [...files].sort((a, b) => Number(b.kind === "folder") - Number(a.kind === "folder") || (a.name ?? "").localeCompare(b.name ?? ""));
  const { rows, more } = usePage(sorted, 200);
  const target = (way: "content" | "archive", of: string, format?: string) =>
    address(`/api/v1/points/{point}/files/${way}`, { path: { point: id }, query: { tenant, path: of, look, format } });
  const fetchFile = (file: FileFacts) => download(target("content", within(path, file.name ?? "")), file.name ?? "file");
  return (
    <Card title={<Crumbs tenant={tenant} id={id} path={path} />} actions={
      <>
        <form class="inline" onSubmit={(event) => { event.preventDefault(); setQuery({ find: wanted || undefined }); }}>
          <Text type="search" class="filter" value={wanted} set={setWanted} aria-label={t("files.search")} placeholder={t("files.search")} />
        </form>
        {may("file-download") && <Action small run={() => download(target("archive", path, "zip"), `${fileName(path.replace(/\/$/, "")).replace(/[:/]/g, "-") || "files"}.zip`)}>{t("files.zip")}</Action>}
        {may("file-download") && <Action small run={() => download(target("archive", path, "tar"), `${fileName(path.replace(/\/$/, "")).replace(/[:/]/g, "-") || "files"}.tar`)}>{t("files.tar")}</Action>}
      </>
    }>
      {place.value.query.get("find") && <Found tenant={tenant} id={id} path={path} name={place.value.query.get("find")!} look={look} />}
      {error && <Trouble error={error} retry={() => { setError(undefined); void load(); }} />}
      {files.length === 0 && !busy && !error && <Empty title={t("files.empty")} />}
      {files.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={path}>
          <table class="files">
            <thead><tr><th>{t("column.name")}</th><th class="number">{t("column.size")}</th><th>{t("column.changed")}</th><th>{t("column.mode")}</th><th><span class="hidden">{t("column.actions")}</span></th></tr></thead>
            <tbody>
              {rows.map((file) => (
                <tr key={file.name}>
                  <td class="file-name"><Icon name={file.kind === "folder" ? "folder" : "file"} />
                    {file.kind === "folder" ? <a href={link(["files", tenant, id], { path: within(path, file.name ?? "") })}>{file.name}</a>
                      : file.kind === "file" ? <button type="button" class="as-link" onClick={() => setPreview({ ...file, at: within(path, file.name ?? "") })}>{file.name}</button>
                        : <span>{file.name}{file.target && <span class="muted"> → {file.target}</span>}</span>}</td>
                  <td class="number">{file.kind === "file" ? size(file.size) : ""}</td>
                  <td>{file.modified && !file.modified.startsWith("@") ? <time dateTime={file.modified} title={fully(file.modified)}>{at(file.modified)}</time> : file.modified ?? "–"}</td>
                  <td class="muted">{file.mode}</td>
                  <td class="number">{file.kind === "file" && may("file-download") && <Action small tone="quiet" run={() => fetchFile(file)}>{t("files.download")}</Action>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more}
      {next && <Action run={() => load(next)}>{t("files.more")}</Action>}
      {busy && <Waiting what="wait.folder" />}
      {problems.map((each) => <p key={each.name} class="strong-bad small-text" lang="en">{each.name}: {each.reason}</p>)}
      {preview && <Preview file={preview} target={target("content", preview.at)} close={() => setPreview(undefined)} fetchFile={() => fetchFile(preview)} command={`muletto files get ${id} ${quoted(preview.at)}${commandTenant(tenant)}`} />}
    </Card>
  );
}

// Content from a guest is shown as text or decoded as a picture, never as a page of its own.
function Preview({ file, target, close, fetchFile, command }: { file: FileFacts; target: string; close: () => void; fetchFile: () => Promise<void>; command: string }) {
  const [text, setText] = useState<string>();
  const [url, setUrl] = useState<string>();
  const [error, setError] = useState<Error>();
  const type = pictures[extension(file.name ?? "")];
  useEffect(() => {
    let gone = false, made = "";
    const load = async () => {
      if (type && file.size > kPictureSize) return;
      if (type) {
        const blob = new Blob([await (await request("GET", target)).arrayBuffer()], { type });
        made = URL.createObjectURL(blob);
        if (!gone) setUrl(made);
        return;
      }
      if (file.size > kPreviewSize) return;
      const bytes = new Uint8Array(await (await request("GET", target)).arrayBuffer());
      if (!gone && !bytes.subarray(0, 8192).includes(0)) setText(new TextDecoder().decode(bytes));
    };
    if (may("file-download")) void load().catch((failure: Error) => !gone && setError(failure));
    return () => {
      gone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [target]);
  return (
    <Dialog title={file.name ?? ""} close={close} wide>
      <p class="muted">{size(file.size)}{file.modified && ` · ${file.modified.startsWith("@") ? file.modified : fully(file.modified)}`}</p>
      {error && <Trouble error={error} />}
      {text !== undefined ? <pre class="log" tabIndex={0}>{text}</pre> : url ? <img class="preview" src={url} alt={file.name ?? ""} onError={() => setUrl(undefined)} /> : !error && <p class="muted">{t("files.no-preview")}</p>}
      <div class="dialog-actions">
        <CopyCommand command={command} />
        {may("file-download") && <Action tone="main" run={fetchFile}>{t("files.download")}</Action>}
      </div>
    </Dialog>
  );
}

type FoundLine = { file?: FileFacts; problem?: { path: string; reason: string }; progress?: { folder_count: number; file_count: number }; end?: boolean };

function Found({ tenant, id, path, name, look }: { tenant: string; id: string; path: string; name: string; look: string | undefined }) {
  const [files, setFiles] = useState<FileFacts[]>([]);
  const [problems, setProblems] = useState(0);
  const [seen, setSeen] = useState({ folder_count: 0, file_count: 0 });
  const [standing, setStanding] = useState<"searching" | "complete" | "incomplete">("searching");
  useEffect(() => {
    const stop = new AbortController();
    const found: FileFacts[] = [];
    setFiles([]);
    setStanding("searching");
    const search = async () => {
      let complete = false;
      const target = address("/api/v1/points/{point}/files/search", { path: { point: id }, query: { tenant, path, name, ignore_case: true, look } });
      for await (const line of lines<FoundLine>(target, stop.signal)) {
        if (line.file) found.push(line.file);
        if (line.problem) setProblems((count) => count + 1);
        if (line.progress) { setSeen(line.progress); setFiles([...found]); }
        if (line.end) complete = true;
        if (found.length >= 1000) break;
      }
      setFiles([...found]);
      setStanding(complete ? "complete" : "incomplete");
    };
    void search().catch((error: Error) => { if (!stop.signal.aborted) { say(error.message, "bad"); setStanding("incomplete"); } });
    return () => stop.abort();
  }, [id, path, name, look]);
  return (
    <div class="found">
      <p role="status">{t(`files.found.${standing}`, { count: files.length, folders: number(seen.folder_count) })}{problems > 0 && ` ${t("files.unreadable", { count: problems })}`} <button type="button" class="quiet small" onClick={() => setQuery({ find: undefined })}>{t("action.close")}</button></p>
      <ul class="plain">
        {files.slice(0, 1000).map((file) => {
          const of = file.path ?? "";
          const folder = file.kind === "folder" ? of : of.replace(/\/[^/]*$/, "/");
          return <li key={of}><Icon name={file.kind === "folder" ? "folder" : "file"} /> <a href={link(["files", tenant, id], { path: folder.replace(/(?<!:)\/$/, "") })}>{of}</a> <span class="muted small-text">{file.kind === "file" ? size(file.size) : ""}</span></li>;
        })}
      </ul>
    </div>
  );
}

type ChangeLine = { change?: "added" | "changed" | "deleted" | "problem"; path?: string; what?: string[] | string; before?: Partial<FileFacts>; after?: Partial<FileFacts>; problem?: string; end?: boolean };
const changeTone = { added: "good", changed: "warn", deleted: "bad", problem: "bad" } as const;

export function Compare({ tenant, id }: { tenant: string; id: string }) {
  const older = place.value.query.get("with") ?? "";
  const path = place.value.query.get("path") ?? "";
  const newer = useAnswer("/api/v1/points/{point}", { path: { point: id }, query: { tenant } });
  const before = useAnswer(older ? "/api/v1/points/{point}" : null, { path: { point: older }, query: { tenant } });
  const look = useAnswer("/api/v1/points/{point}/files", { path: { point: id }, query: { tenant } });
  const [changes, setChanges] = useState<ChangeLine[]>([]);
  const [standing, setStanding] = useState<"searching" | "complete" | "incomplete" | undefined>();
  useEffect(() => {
    if (!path || !older) return;
    const stop = new AbortController();
    const found: ChangeLine[] = [];
    setStanding("searching");
    const compare = async () => {
      let complete = false;
      const target = address("/api/v1/points/{point}/files/changes", { path: { point: id }, query: { tenant, path, since: older } });
      for await (const line of lines<ChangeLine>(target, stop.signal)) {
        if (line.change) found.push(line);
        if (line.end) complete = true;
        if (found.length % 100 === 0) setChanges([...found]);
        if (found.length >= 5000) break;
      }
      setChanges([...found]);
      setStanding(complete ? "complete" : "incomplete");
    };
    void compare().catch((error: Error) => { if (!stop.signal.aborted) { say(error.message, "bad"); setStanding("incomplete"); } });
    return () => stop.abort();
  }, [id, older, path, tenant]);
  const { rows, more } = usePage(changes, 100);
  return (
    <>
      <Head title={t("compare.title")} back={{ href: link(["points", tenant, id]), text: newer.data ? fully(newer.data.point.time) : t("test.point") }}
        note={before.data && newer.data && t("compare.between", { from: fully(before.data.point.time), to: fully(newer.data.point.time) })}>
        {path && <CopyCommand command={`muletto files diff ${older} ${id} ${quoted(path)}${commandTenant(tenant)}`} />}
      </Head>
      <Shown asked={look} what="wait.files">
        {(data) => "look" in data ? (
          <Card title={t("files.volumes")}>
            <ul class="plain volumes">{data.look.volumes.map((volume) => <li key={volume.name}><button type="button" class={`chip${path.startsWith(`${volume.name}:`) ? " on" : ""}`} onClick={() => { setChanges([]); setQuery({ path: `${volume.name}:/` }); }}>{volume.label || volume.name} <span class="small-text">{volume.type}</span></button></li>)}</ul>
          </Card>
        ) : null}
      </Shown>
      {standing && (
        <Card title={t("compare.changes")}>
          <p role="status" class="note">{t(`compare.${standing}`, { count: changes.length })}</p>
          {changes.length === 0 && standing === "complete" && <Empty title={t("compare.same")} />}
          <ul class="plain changes">
            {rows.map((line, index) => (
              <li key={index}><Pill tone={changeTone[line.change ?? "problem"]}>{t(`change.${line.change ?? "problem"}`)}</Pill> <span class="path">{line.path}</span>
                <span class="muted small-text">{line.change === "changed" && line.before?.size !== undefined && line.after?.size !== undefined && line.before.size !== line.after.size ? `${size(line.before.size)} → ${size(line.after.size)}` : ""}{line.problem}</span></li>
            ))}
          </ul>
          {more}
        </Card>
      )}
      {!path && <Empty title={t("compare.volume")} />}
    </>
  );
}
