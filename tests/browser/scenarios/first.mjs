// The first minutes: a password of one's own, and a first line that arrives.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { logIn, rows } from '../lib/browser.mjs';
import { tokenOf } from '../lib/cluster.mjs';

const OWN_TAGS = ['default', 'gravwell'];

/** As a new installation answers: only its own tags, and those that the commands bring. */
async function asIfEmpty(page) {
    await page.route('**/api/tags', async (route) => {
        const tags = await (await route.fetch()).json();
        await route.fulfill({ json: tags.filter((tag) => [...OWN_TAGS, 'first'].includes(tag)) });
    });
}

async function copied(page, command) {
    await page
        .locator('.line')
        .filter({ hasText: command })
        .first()
        .getByRole('button', { name: 'Copy the command' })
        .click();
    return page.evaluate(() => navigator.clipboard.readText());
}

export const scenarios = {
    async a_first_password_is_changed_before_anything_else(tabs, cluster) {
        const name = `first${Date.now()}`;
        const admin = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(admin);
        await cluster.call(cluster.webservers[0], 'POST', '/api/users', token, {
            User: name,
            Pass: 'changeme',
            Name: name,
            Email: '',
            Admin: false,
        });
        await cluster.knows(cluster.webservers[1], name);
        // Not a quickstart, this one.
        const page = await tabs.open(cluster.webservers[1]);
        await page.route('**/api/settings', async (route) => {
            const json = await (await route.fetch()).json();
            await route.fulfill({ json: { ...json, FirstPasswordMayStay: false } });
        });
        await logIn(page, name);
        const dialog = page.getByRole('dialog', { name: 'Choose your password' });
        await dialog.waitFor();
        await tabs.shot(page, 'first-password');
        await page.keyboard.press('Escape');
        await page.keyboard.press('Escape');
        await page.reload();
        await dialog.getByLabel('New password', { exact: true }).fill('changeme');
        await dialog.getByLabel('New password, again').fill('changeme');
        await page.keyboard.press('Enter');
        await dialog.getByText('Everybody knows this one').waitFor();
        await dialog.getByLabel('New password', { exact: true }).fill('my own');
        await dialog.getByLabel('New password, again').fill('my own');
        await page.keyboard.press('Enter');
        await dialog.waitFor({ state: 'detached' });
        await page.reload();
        await page.getByRole('heading', { name: 'How to ask' }).waitFor();
        assert.equal(await dialog.count(), 0);
    },

    async the_commands_that_are_shown_send_the_first_lines(tabs, cluster) {
        const page = await tabs.open(cluster.webservers[0], {
            permissions: ['clipboard-read', 'clipboard-write'],
        });
        await asIfEmpty(page);
        await logIn(page);
        await page.getByRole('heading', { name: 'Send the first log lines' }).waitFor();
        await page.getByRole('button', { name: /with nothing but curl/ }).click();
        const commands = [await copied(page, 'curl -fsS'), await copied(page, '--tag first -')];
        await tabs.shot(page, 'first-lines');
        for (const command of commands) {
            const done = spawnSync('/bin/sh', ['-c', command], {
                encoding: 'utf8',
                timeout: 60_000,
                env: {
                    PATH: `${cluster.bin}:${process.env.PATH}`,
                    AQUIFER_INGEST_SECRET: cluster.secret,
                },
            });
            assert.equal(done.status, 0, `${command}\n${done.stderr}`);
        }
        // It appears without a reload.
        await page.getByRole('button', { name: 'first', exact: true }).click();
        await rows(page)
            .filter({ hasText: /hello from/ })
            .nth(1)
            .waitFor();
    },
};
