// A browser, and pages that are watched: what a page must never do fails whichever scenario it
// happens in.
import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
// Each window would render two pages for the address bar that nobody sees, a half of all the work;
// the rest are those that Playwright disables itself, and that would be forgotten beside ours.
const DISABLED = [
    'WebUIOmniboxPopup',
    'WebUIOmniboxAimPopup',
    'AvoidUnnecessaryBeforeUnloadCheckSync',
    'BoundaryEventDispatchTracksNodeRemoval',
    'DestroyProfileOnBrowserClose',
    'DialMediaRouteProvider',
    'GlobalMediaControls',
    'HttpsUpgrades',
    'LensOverlay',
    'MediaRouter',
    'PaintHolding',
    'ThirdPartyStoragePartitioning',
    'Translate',
    'AutoDeElevate',
    'RenderDocument',
    'OptimizationHints',
];
// Nothing of Chromium's own may reach for the network; root, as in containers, cannot have its
// sandbox.
const FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    `--disable-features=${DISABLED.join(',')}`,
];

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 780 };
const PATIENCE_MS = 60_000; /* this only ends what hangs, however busy the machine is */
const LATE_MS_MAX = 800;

export function launch() {
    return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
}

/** One scenario's tabs. close() fails if any of them did what no page of ours may do. */
export class Tabs {
    constructor(browser, cluster, screenshots, slow = 1) {
        this.slow = slow;
        this.browser = browser;
        this.cluster = cluster;
        this.screenshots = screenshots;
        this.contexts = [];
        this.faults = [];
        this.allowed = [];
    }

    /**
     * A console error that is expected: the browser itself reports every refused request as one.
     */
    allow(pattern) {
        this.allowed.push(pattern);
    }

    /** A fresh browser profile at `url`, not logged in. */
    async open(url, options = {}) {
        const { scheme = 'light', viewport = DESKTOP, hash = '', ...more } = options;
        const phone = viewport.width < 600;
        const context = await this.browser.newContext({
            viewport,
            colorScheme: scheme,
            reducedMotion: 'reduce',
            locale: 'en-GB',
            isMobile: phone,
            hasTouch: phone,
            ...more,
        });
        context.setDefaultTimeout(PATIENCE_MS);
        this.contexts.push(context);
        await context.addInitScript(() => {
            globalThis.violations = [];
            document.addEventListener('securitypolicyviolation', (event) =>
                globalThis.violations.push(
                    `${event.violatedDirective} ${event.blockedURI} ${event.sample}`,
                ),
            );
        });
        const page = await context.newPage();
        if (this.slow > 1) {
            await hinder(context, page, this.slow);
        }
        this.watch(page, new URL(url).origin);
        await page.goto(url + '/' + hash);
        return page;
    }

    /** As open(), by the administrator, whose session all scenarios share. */
    async login(url, options = {}) {
        const token = await this.cluster.session();
        const localStorage = [
            { name: 'aquifer.token', value: token },
            { name: 'aquifer.known', value: 'yes' },
        ];
        const storageState = { cookies: [], origins: [{ origin: url, localStorage }] };
        const page = await this.open(url, { storageState, ...options });
        await page.getByRole('banner').waitFor();
        return page;
    }

    /** As login(), with a session of its own: for whoever ends it, or looks at what a login does. */
    async loginAnew(url, options = {}) {
        const page = await this.open(url, options);
        await logIn(page);
        return page;
    }

    watch(page, origin) {
        page.on('console', (message) => {
            if (message.type() === 'error' || message.type() === 'warning') {
                this.faults.push(
                    `console ${message.type()}: ${message.text()} (${message.location().url})`,
                );
            }
        });
        page.on('pageerror', (error) => this.faults.push(`uncaught: ${error.stack ?? error}`));
        page.on('dialog', (dialog) => {
            this.faults.push(`a dialog opened: ${dialog.message()}`);
            void dialog.dismiss();
        });
        page.on('request', (request) => {
            const url = new URL(request.url());
            if (url.origin !== origin && url.protocol !== 'blob:' && url.protocol !== 'data:') {
                this.faults.push(`asked another server: ${request.url()}`);
            }
        });
    }

    async shot(page, name) {
        fs.mkdirSync(this.screenshots, { recursive: true });
        await page.screenshot({ path: path.join(this.screenshots, `${name}.png`) });
    }

    async close() {
        for (const context of this.contexts) {
            for (const page of context.pages()) {
                const violations = await page
                    .evaluate(() => globalThis.violations ?? [])
                    .catch(() => []);
                this.faults.push(
                    ...violations.map((v) => `Content-Security-Policy violated: ${v}`),
                );
                // An answer that is just being changed for the page may come to nothing now.
                await page.unrouteAll({ behavior: 'ignoreErrors' });
            }
            await context.close();
        }
        const unexpected = [...new Set(this.faults)].filter(
            (fault) => !this.allowed.some((p) => p.test(fault)),
        );
        if (unexpected.length > 0) {
            throw new Error(unexpected.join('\n'));
        }
    }
}

/** A slower processor, and answers of the API that overtake each other. */
async function hinder(context, page, slow) {
    await context.route('**/api/**', async (route) => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * LATE_MS_MAX));
        await route.fallback().catch(() => undefined); /* the page may be gone by now */
    });
    const session = await context.newCDPSession(page);
    await session.send('Emulation.setCPUThrottlingRate', { rate: slow });
}

export async function logIn(page, user = 'admin', password = 'changeme') {
    await page.getByLabel('User name').fill(user);
    await page.getByLabel('Password').fill(password);
    await page.keyboard.press('Enter');
    await page.getByRole('banner').waitFor();
}

/** A text area at first, CodeMirror a moment later. */
export function editor(page) {
    return page.getByRole('textbox', { name: 'Query' });
}

/** Puts a query into the editor in place of what is there. */
export async function write(page, query) {
    await editor(page).focus();
    await page.keyboard.press('Control+a');
    await (query === '' ? page.keyboard.press('Backspace') : page.keyboard.insertText(query));
}

/** What is in the editor. */
export function typed(page) {
    return editor(page).evaluate((node) =>
        node instanceof HTMLTextAreaElement
            ? node.value
            : [...node.querySelectorAll('.cm-line')]
                  .map((line) => (line.querySelector('.cm-placeholder') ? '' : line.textContent))
                  .join('\n'),
    );
}

/** Types a query, runs it with the keyboard and waits for its end. */
export async function search(page, query, range = 'All time') {
    await choose(page, range);
    await write(page, query);
    await page.keyboard.press('Control+Enter');
    await finished(page);
}

export async function choose(page, range) {
    const picker = page.getByRole('button', { name: /^Time range/ });
    if ((await picker.getAttribute('aria-label')) !== `Time range: ${range}`) {
        await picker.click();
        await page.getByRole('button', { name: range, exact: true }).click();
    }
}

export async function finished(page) {
    await page
        .locator('.summary')
        .getByText(/entr(y|ies) in /)
        .waitFor();
}

export function rows(page) {
    return page
        .getByRole('list', { name: 'Entries' })
        .locator('button[data-row][aria-disabled=false]');
}
