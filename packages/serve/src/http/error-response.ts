/** Errors in OpenAI's shape, so that its clients raise what they are meant to. */
import { FinetuneError } from '@contextlora/finetune';
import { ModelError } from '@contextlora/model';

import type { ErrorBody } from '../chat/answer-schemas.js';
import { ServeError, type ServeErrorCode } from '../serve-error.js';

interface ErrorKind {
  readonly status: 400 | 401 | 403 | 404 | 405 | 413 | 415 | 429 | 499 | 500 | 503;
  readonly type: string;
  readonly code: string;
}

const request = 'invalid_request_error';
const server = 'server_error';
const defect: ErrorKind = { status: 500, type: server, code: 'internal_error' };
const kinds: Readonly<Partial<Record<ServeErrorCode, ErrorKind>>> = {
  SERVE_INPUT_INVALID: { status: 400, type: request, code: 'invalid_value' },
  SERVE_KEY_REFUSED: { status: 401, type: request, code: 'invalid_api_key' },
  SERVE_HOST_REFUSED: { status: 403, type: request, code: 'host_refused' },
  SERVE_PATH_UNKNOWN: { status: 404, type: request, code: 'unknown_url' },
  SERVE_TASK_UNKNOWN: { status: 404, type: request, code: 'model_not_found' },
  SERVE_METHOD_REFUSED: { status: 405, type: request, code: 'method_not_allowed' },
  SERVE_TOO_LARGE: { status: 413, type: request, code: 'request_too_large' },
  SERVE_MEDIA_REFUSED: { status: 415, type: request, code: 'unsupported_media_type' },
  SERVE_BUSY: { status: 429, type: 'rate_limit_error', code: 'server_busy' },
  // Nobody reads it but the metrics; nginx has this number for it.
  SERVE_CALLER_LEFT: { status: 499, type: request, code: 'caller_left' },
  SERVE_TIMEOUT: { status: 503, type: server, code: 'timeout' },
  SERVE_CLOSING: { status: 503, type: server, code: 'server_closing' },
};

export interface ErrorAnswer {
  readonly status: ErrorKind['status'];
  readonly body: ErrorBody;
  /** Seconds after which a refused request may be tried again. */
  readonly retrySeconds?: number;
  /** Whether nobody but the server is to blame. */
  readonly isDefect: boolean;
}

/** Only errors that are made for a caller say what they are about. */
export function errorAnswer(error: unknown): ErrorAnswer {
  const { kind, message, parameter } = describe(error);
  return {
    status: kind.status,
    body: { error: { message, type: kind.type, param: parameter ?? null, code: kind.code } },
    ...(kind.status === 429 || kind.status === 503 ? { retrySeconds: 1 } : {}),
    isDefect: kind === defect,
  };
}

function describe(error: unknown): {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly parameter?: string | undefined;
} {
  const kind = error instanceof ServeError ? kinds[error.code] : undefined;
  if (error instanceof ServeError && kind)
    return { kind, message: withoutPlace(error.message), parameter: error.parameter };
  const isAsked =
    error instanceof FinetuneError || (error instanceof ModelError && callersCodes.has(error.code));
  if (isAsked)
    return {
      kind: { status: 400, type: request, code: 'invalid_value' },
      message: withoutPlace(error.message),
      parameter: 'messages',
    };
  return { kind: defect, message: 'the server failed to answer; its operator can see why' };
}

/** What a caller can mend. */
const callersCodes: ReadonlySet<string> = new Set([
  'MODEL_CONTEXT_FULL',
  'MODEL_FILE_DAMAGED',
  'MODEL_UNSUPPORTED',
]);

/** Without `serve/chat: `, which says nothing to a caller. */
const withoutPlace = (message: string): string => message.replace(/^[\w-]+\/\w+: /, '');
