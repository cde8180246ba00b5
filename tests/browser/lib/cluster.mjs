// The cluster under test, as its cluster.json describes it.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

export class Cluster {
    constructor(file) {
        const description = JSON.parse(fs.readFileSync(file, 'utf8'));
        this.webservers = description.webservers;
        this.loadbalancer = description.loadbalancer;
        this.indexers = description.indexers;
        this.secret = description.ingest_secret;
        this.pids = description.pids;
    }

    /** Where the programs are. */
    get bin() {
        return path.resolve(ROOT, process.env.AQUIFER_BUILD ?? 'build/debug', 'bin');
    }

    /** Sends lines through the command line program; they are durable when this returns. */
    ingest(tag, lines) {
        const done = spawnSync(
            path.join(this.bin, 'aquifer'),
            [
                'ingest',
                '--tag',
                tag,
                '--indexer',
                this.indexers[0].ingest,
                '--secret',
                this.secret,
                '-',
            ],
            { input: lines.map((line) => `${line}\n`).join(''), encoding: 'utf8', timeout: 60_000 },
        );
        if (done.status !== 0) {
            throw new Error(`ingest: ${done.error ?? ''} ${done.stderr}`);
        }
    }

    /** The token of an administrator's session, the same for all who ask, until somebody ends it. */
    async session() {
        const good = await this.call(
            this.webservers[0],
            'GET',
            '/api/info/whoami',
            this.shared,
        ).then(
            () => true,
            () => false,
        );
        this.shared = good ? this.shared : await this.logIn('admin', 'changeme');
        return this.shared;
    }

    /** Waits until a webserver takes this token no more. */
    refused(url, token) {
        const ask = () =>
            this.call(url, 'GET', '/api/info/whoami', token).then(
                () => false,
                (error) => /: 401 /.test(error.message),
            );
        return eventually('the session has ended', ask);
    }

    /** Waits until a webserver has heard of a user who was made on another. */
    async knows(url, user) {
        const token = await this.session();
        await eventually(`${user} is known on ${url}`, async () =>
            (await this.call(url, 'GET', '/api/users', token)).includes(`"${user}"`),
        );
    }

    async logIn(user, password) {
        const body = new URLSearchParams({ User: user, Pass: password });
        const response = await fetch(`${this.webservers[0]}/api/login`, { method: 'POST', body });
        return (await response.json()).JWT;
    }

    /** Calls the API of a webserver, with the token of a logged-in page if there is one. */
    async call(url, method, apiPath, token, json) {
        const headers = token ? { Authorization: `Bearer ${token}` } : {};
        if (json !== undefined) {
            headers['Content-Type'] = 'application/json';
        }
        const response = await fetch(url + apiPath, {
            method,
            headers,
            body: json === undefined ? null : JSON.stringify(json),
        });
        if (!response.ok) {
            throw new Error(`${method} ${apiPath}: ${response.status} ${await response.text()}`);
        }
        return response.text();
    }
}

export async function tokenOf(page) {
    return page.evaluate(() => localStorage.getItem('aquifer.token'));
}

/** Waits for a condition, with a deadline; fails with the last value. */
export async function eventually(what, condition, withinMs = 60_000) {
    const deadline = Date.now() + withinMs;
    for (;;) {
        const value = await condition();
        if (value) {
            return value;
        }
        if (Date.now() > deadline) {
            throw new Error(`${what}: not within ${withinMs} ms (last: ${JSON.stringify(value)})`);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
