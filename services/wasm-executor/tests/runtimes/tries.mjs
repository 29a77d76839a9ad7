// What a guest that has taken over its runtime program would try; a line each.
import fs from "node:fs";
import child from "node:child_process";
import net from "node:net";
const tried = (name, what) => {
  try { console.log(name, what() ?? "done"); }
  catch (error) { console.log(name, error.code); }
};
const [, , module, mount, readOnly] = process.argv;
const folder = mount.split("::")[0], other = readOnly.split("::")[0];
tried("own", () => fs.writeFileSync(`${folder}/made`, "x"));
tried("read-only", () => fs.writeFileSync(`${other}/made`, "x"));
tried("outside", () => fs.readFileSync("/etc/passwd"));
tried("others", () => fs.readdirSync("/proc"));
tried("program", () => child.spawnSync("/bin/true").error?.code ?? "ran");
tried("signal", () => process.kill(process.ppid, 0));
try {
  const socket = net.connect(1, "127.0.0.1");
  socket.on("error", (error) => console.log("connect", error.code));
} catch (error) { console.log("connect", error.code); }
