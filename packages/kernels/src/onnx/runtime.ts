/** Finds the native library of the onnx backend, or says why it is not available. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { type Koffi, type OnnxRuntime, openOnnxLibrary } from './library.js';

/** Pinned, because the folder that holds the library is not part of the package's interface. */
const pinnedOnnxRuntimeVersion = '1.30.0';

/** Another version at the top of a project would be resolved instead of the package's own. */
const koffiNeeded = 'koffi@3.3.4';

/** File name of the library on platforms that do not name it as Linux does. */
const libraryNames: Readonly<Record<string, string>> = {
  darwin: `libonnxruntime.${pinnedOnnxRuntimeVersion}.dylib`,
  win32: 'onnxruntime.dll',
};

/** Where packages are looked up; tests pass their own. */
export interface OnnxRuntimeSources {
  readonly require: (module: string) => unknown;
  readonly resolve: (module: string) => string;
  readonly platform: string;
  readonly architecture: string;
}

function installed(): OnnxRuntimeSources {
  const require = createRequire(import.meta.url);
  return {
    require,
    resolve: (module) => require.resolve(module),
    platform: process.platform,
    architecture: process.arch,
  };
}

/** Loads the runtime, or says in one sentence why it is not available here. */
export function loadOnnxRuntime(sources: OnnxRuntimeSources = installed()): OnnxRuntime | string {
  const { require, resolve, platform, architecture } = sources;
  const needed = `onnxruntime-node@${pinnedOnnxRuntimeVersion}`;
  let version: string;
  let manifest: string;
  try {
    manifest = resolve('onnxruntime-node/package.json');
    ({ version } = require('onnxruntime-node/package.json') as { version: string });
  } catch {
    return `onnxruntime-node is not installed; ONNXRUNTIME_NODE_INSTALL=skip npm install ${needed} ${koffiNeeded} adds it`;
  }
  if (version !== pinnedOnnxRuntimeVersion)
    return (
      `onnxruntime-node ${version} is installed, but the location of its library is known in ` +
      `${pinnedOnnxRuntimeVersion} only; ONNXRUNTIME_NODE_INSTALL=skip npm install ${needed}`
    );
  let koffi: Koffi;
  try {
    koffi = require('koffi') as Koffi;
  } catch (cause) {
    return `koffi, which calls onnxruntime's library, does not load (${firstLine(cause)}); npm install ${koffiNeeded} adds it`;
  }
  const library = libraryNames[platform] ?? 'libonnxruntime.so.1';
  const path = join(dirname(manifest), 'bin', 'napi-v6', platform, architecture, library);
  try {
    return openOnnxLibrary(koffi, path);
  } catch (cause) {
    return `onnxruntime-node has no library that loads on ${platform}-${architecture}: ${path}: ${firstLine(cause)}`;
  }
}

const firstLine = (cause: unknown) => (cause as Error).message.split('\n')[0] ?? '';
