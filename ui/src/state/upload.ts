/*
 * A file on its way to the server. XMLHttpRequest because fetch does not say how far an upload is;
 * aborting `signal` ends it.
 */
import { session } from './session.svelte';

export async function upload(
  path: string,
  file: File,
  onprogress: (share: number) => void,
  signal: AbortSignal,
): Promise<void> {
  // fetch-based calls renew the session when that is due; with this a refusal is found early too.
  await session.api.whoami(signal);
  await new Promise<void>((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', path);
    const token = localStorage.getItem('aquifer.token');
    request.setRequestHeader('Authorization', `Bearer ${token ?? ''}`);
    request.upload.onprogress = (event) => {
      onprogress(event.total > 0 ? event.loaded / event.total : 0);
    };
    request.onload = () => {
      if (request.status === 200) {
        resolve();
        return;
      }
      let reason = `The server answered with status ${request.status}.`;
      try {
        reason = (JSON.parse(request.responseText) as { Error?: string }).Error ?? reason;
      } catch {
        /* not JSON: the status is all there is */
      }
      reject(new Error(reason));
    };
    request.onerror = () => reject(new Error('The connection was lost during the upload.'));
    request.onabort = () => reject(new Error('The upload was cancelled.'));
    signal.addEventListener('abort', () => request.abort());
    const form = new FormData();
    form.set('file', file);
    request.send(form);
  });
}
