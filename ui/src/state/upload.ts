/*
 * A form with a file on its way to the server. XMLHttpRequest because fetch does not say how far an
 * upload is; aborting `signal` ends it. Answers what the server answers.
 */
import { session } from './session.svelte';

export async function upload<T>(
  method: 'POST' | 'PUT',
  path: string,
  parts: Record<string, Blob | string>,
  onprogress: (share: number) => void,
  signal: AbortSignal,
): Promise<T | null> {
  // fetch-based calls renew the session when that is due; with this a refusal is found early too.
  await session.api.whoami(signal);
  return new Promise<T | null>((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    const token = localStorage.getItem('aquifer.token');
    request.setRequestHeader('Authorization', `Bearer ${token ?? ''}`);
    request.upload.onprogress = (event) => {
      onprogress(event.total > 0 ? event.loaded / event.total : 0);
    };
    request.onload = () => {
      let answer: unknown = null;
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        /* not JSON: the status is all there is */
      }
      if (request.status === 200) {
        resolve(answer as T | null);
        return;
      }
      const reason = (answer as { Error?: string } | null)?.Error;
      reject(new Error(reason ?? `The server answered with status ${request.status}.`));
    };
    request.onerror = () => reject(new Error('The connection was lost during the upload.'));
    request.onabort = () => reject(new Error('The upload was cancelled.'));
    signal.addEventListener('abort', () => request.abort());
    const form = new FormData();
    for (const [name, part] of Object.entries(parts)) {
      form.set(name, part);
    }
    request.send(form);
  });
}
