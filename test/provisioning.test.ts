/** What provisions machines, as far as it can be judged without any: by the programs that will read it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('..', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'warren-provisioning-'));
after(() => rmSync(dir, { recursive: true }));

type Result = { code: number; output: string };
function run(
  file: string,
  argv: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Result> {
  const env = { PATH: process.env.PATH, HOME: dir, LC_ALL: 'C.UTF-8', ...options.env };
  return new Promise((resolve) => {
    execFile(file, argv, { cwd: project, ...options, env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr }),
    );
  });
}

/** A folder with these programs and no others, as if that were all that is installed. */
async function programs(...names: string[]): Promise<string> {
  const folder = join(dir, 'bin');
  mkdirSync(folder);
  for (const name of names) {
    const { output } = await run('sh', ['-c', `command -v ${name}`]);
    symlinkSync(output.trim(), join(folder, name));
  }
  return folder;
}

async function validate(path: string | undefined): Promise<{ result: Result; left: string[] }> {
  const dotfiles = mkdtempSync(join(dir, 'vagrant-'));
  const env = {
    PATH: path,
    VAGRANT_CHECKPOINT_DISABLE: '1',
    VAGRANT_HOME: join(dir, 'home'),
    VAGRANT_DOTFILE_PATH: dotfiles,
  };
  const result = await run('/usr/bin/vagrant', ['validate'], { cwd: join(project, 'vagrant'), env });
  return { result, left: readdirSync(dotfiles) };
}

test('the Vagrantfile is valid, with Ansible here', async () => {
  const { result, left } = await validate(process.env.PATH);
  assert.deepEqual(result, { code: 0, output: 'Vagrantfile validated successfully.\n' });
  assert.ok(!left.includes('provisioning_key'), 'no key is made that nobody needs');
});

test('the Vagrantfile is valid, without Ansible here', async () => {
  const { result, left } = await validate(await programs('ruby', 'sh', 'env', 'ssh-keygen', 'ssh', 'rsync'));
  assert.deepEqual(result, { code: 0, output: 'Vagrantfile validated successfully.\n' });
  assert.ok(left.includes('provisioning_key'), 'the last machine has a key to the others');
});

test('no machine advertises Vagrant’s own address, which all of them have', async () => {
  const text = readFileSync(join(project, 'vagrant/Vagrantfile'), 'utf8');
  assert.match(text, /"warren_advertise" => address/);
  assert.doesNotMatch(text.replace(/^#.*$/gm, ''), /10\.0\.2\./);
});

test('the playbook and its role are what Ansible understands', async () => {
  const argv = ['-i', 'inventory.example.ini', 'site.yml', '--syntax-check'];
  const result = await run('ansible-playbook', argv, { cwd: join(project, 'ansible') });
  assert.equal(result.code, 0, result.output);
  assert.doesNotMatch(result.output, /WARN|DEPRECAT/, result.output);
});

test('every variable of the role has a type, and a line in its table', async () => {
  const role = join(project, 'ansible/roles/warren');
  const specs = readFileSync(join(role, 'meta/argument_specs.yml'), 'utf8');
  const known = new Set([...specs.matchAll(/^ {6}(warren_\w+):/gm)].map(([, name]) => name));
  const defaults = [...readFileSync(join(role, 'defaults/main.yml'), 'utf8').matchAll(/^(warren_\w+):/gm)];
  assert.deepEqual(
    defaults.map(([, name]) => name).filter((name) => !known.has(name)),
    [],
  );
  const table = readFileSync(join(project, 'ansible/README.md'), 'utf8');
  assert.deepEqual(
    [...known].filter((name) => !table.includes(`\`${name}\``)),
    [],
  );
});

test('its modules explain themselves', async () => {
  const folder = join(project, 'ansible/roles/warren/library');
  const names = readdirSync(folder).flatMap((name) => /^(.*)\.py$/.exec(name)?.[1] ?? []);
  const result = await run('ansible-doc', ['-M', folder, '-t', 'module', '--json', ...names]);
  assert.equal(result.code, 0, result.output);
  assert.deepEqual(Object.keys(JSON.parse(result.output)).sort(), names.sort());
});

test('the same checkout makes the same archive', async () => {
  const pack = join(project, 'ansible/roles/warren/files/pack');
  const paths = [await run(pack, [project]), await run(pack, [project])];
  assert.equal(paths[0]?.code, 0, paths[0]?.output);
  assert.deepEqual(paths[0], paths[1]);
  const { output } = await run('tar', ['-tf', paths[0]?.output.trim() ?? '']);
  assert.match(output, /^scripts\/setup$/m);
  assert.doesNotMatch(output, /node_modules|\.git\/|^build\/|^test\//m);
});

test('the unit is what systemd understands', async () => {
  // It looks whether the program is there, too: this machine has it here.
  const unit = readFileSync(join(project, 'packaging/warren.service'), 'utf8');
  const file = join(dir, 'warren.service');
  writeFileSync(file, unit.replace('/usr/local/bin/warren', join(project, 'bin/warren')));
  assert.deepEqual(await run('systemd-analyze', ['verify', file]), { code: 0, output: '' });
  writeFileSync(file, unit.replace('WatchdogSec=', 'WatchdogSecs='));
  assert.match((await run('systemd-analyze', ['verify', file])).output, /WatchdogSecs/, 'it does look');
});
