// Resources: uploaded here, looked at there.
import assert from 'node:assert/strict';
import { DESKTOP, PHONE } from '../lib/browser.mjs';

function file(name, text) {
    return { name, mimeType: 'text/csv', buffer: Buffer.from(text) };
}

export const scenarios = {
    async a_resource_is_uploaded_previewed_replaced_brought_back_and_deleted(tabs, cluster) {
        const name = `users-${Date.now()}.csv`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/resources' });
        const there = await tabs.login(cluster.webservers[1], { hash: '#/resources' });
        const row = (on) =>
            on.getByRole('list', { name: 'Resources' }).getByRole('button', { name });
        await page.getByRole('button', { name: 'Upload' }).click();
        await page.getByLabel('File').setInputFiles(file(name, 'user,team\nann,<img src=x>\n'));
        assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), name);
        await page.getByRole('button', { name: 'Save' }).click();
        await page.getByRole('dialog').waitFor({ state: 'detached' });

        await row(there).getByText('version 1').waitFor(); /* at first it has no contents */
        await row(there).click();
        await there.getByRole('columnheader', { name: 'team' }).waitFor();
        await there.getByRole('cell', { name: '<img src=x>' }).waitFor();
        await there.getByLabel('New contents').setInputFiles(file(name, 'user,team\nbob,blue\n'));
        await there.getByLabel('Everybody').check();
        await there.getByRole('button', { name: 'Save' }).click();
        await row(page).getByText('everybody').waitFor();
        await row(page).getByText('version 2').waitFor();
        await row(page).click();
        await page.getByRole('cell', { name: 'blue' }).waitFor();
        await tabs.shot(page, 'resource');

        const coming = page.waitForEvent('download');
        await page.getByRole('button', { name: 'Download' }).click();
        let text = '';
        for await (const chunk of await (await coming).createReadStream()) {
            text += chunk;
        }
        assert.equal(text, 'user,team\nbob,blue\n');

        await page.getByText(/^\d+ versions$/).click();
        await page.getByRole('button', { name: 'Bring back' }).first().waitFor();
        await page.getByRole('button', { name: 'Delete' }).click();
        await page.getByRole('button', { name: 'Delete for good' }).click();
        await row(there).waitFor({ state: 'detached' });
    },

    async pictures_of_resources(tabs, cluster) {
        const admin = await tabs.login(cluster.webservers[0], { hash: '#/resources' });
        await admin.getByRole('button', { name: 'Upload' }).click();
        const lines = Array.from({ length: 40 }, (_, i) => `192.0.2.${i},host-${i},rack ${i % 7}`);
        await admin
            .getByLabel('File')
            .setInputFiles(file('hosts.csv', `ip,host,rack\n${lines.join('\n')}\n`));
        await admin.getByRole('button', { name: 'Save' }).click();
        for (const [name, options] of [
            ['light', { scheme: 'light', viewport: DESKTOP }],
            ['dark', { scheme: 'dark', viewport: DESKTOP }],
            ['phone', { scheme: 'light', viewport: PHONE }],
        ]) {
            const page = await tabs.login(cluster.webservers[0], {
                hash: '#/resources',
                ...options,
            });
            await page
                .getByRole('button', { name: /hosts\.csv/ })
                .first()
                .waitFor();
            await tabs.shot(page, `${name}-resources`);
            await page
                .getByRole('button', { name: /hosts\.csv/ })
                .first()
                .click();
            await page.getByRole('cell', { name: 'host-3', exact: true }).waitFor();
            await tabs.shot(page, `${name}-resource`);
        }
    },
};
