#!/usr/bin/env node
// Installed, the command is what was built. In a clone it runs from source, so that nothing needs a build first.
import { writeSync } from 'node:fs';
import { register } from 'node:module';

try {
  if (import.meta.url.includes('/node_modules/')) await import('../dist/cli.js');
  else {
    const { register: registerTypeScript } = await import('tsx/esm/api');
    registerTypeScript();
    register(new URL('source-condition.js', import.meta.url));
    await import('../src/cli.ts');
  }
} catch (error) {
  // Files are resolved and read before any of the command's own code runs. Without file descriptors, Node finds no package.
  const reason = {
    ERR_MODULE_NOT_FOUND:
      'is it installed whole (npm install), and may this process open enough files (ulimit -n 1024)?',
    // sharp says so in the text of its message.
    ERR_DLOPEN_FAILED:
      'is it installed whole (npm install), and may this process use enough memory (ulimit -v unlimited)?',
    EMFILE: 'raise the limit of open files (ulimit -n 1024)',
    ENFILE: 'raise the limit of open files (ulimit -n 1024)',
    ENOENT: error.syscall === 'uv_cwd' ? 'the current directory was removed; change to another' : undefined,
  }[/ERR_DLOPEN_FAILED/.exec(error.message)?.[0] ?? error.code];
  if (reason === undefined) throw error;
  // At once: what the loader had begun may fail as well.
  writeSync(2, `contextlora cannot start: ${error.message.split('\n', 1)[0]}; ${reason}\n`);
  process.exit(2);
}
