// @google-cloud/firestore over REST against the collector whose port and token are given.
import assert from "node:assert/strict";
import { FieldPath, FieldValue, Firestore, GeoPoint, Timestamp } from "@google-cloud/firestore";
import { GoogleAuth, OAuth2Client, PassThroughClient } from "google-auth-library";

const auth = new GoogleAuth({ authClient: new PassThroughClient() });
const options = { projectId: "p", preferRest: true, host: "127.0.0.1", port: Number(process.argv[2]), ssl: false, auth };
const db = new Firestore(options);
const cities = db.collection("cities");
const refused = (promise, status) => assert.rejects(promise, (error) => statusOf(error) === status);
// Over REST the client passes on what Google's error body says, as the message of its own error.
const statusOf = (error) => JSON.parse(error.message).error.status;
const ids = async (query) => (await query.get()).docs.map((found) => found.id).join("");

// writing and reading
const values = {
  name: "Zürich 😀",
  count: Number.MAX_SAFE_INTEGER,
  ratio: 0.5,
  infinite: -Infinity,
  none: null,
  yes: true,
  when: new Timestamp(1795464930, 123456000),
  bytes: Buffer.from([0, 255, 254]),
  place: new GeoPoint(47.5, -8.25),
  list: [1, "two", { three: [3.5] }],
  nested: { "a b": { c: [] } },
  empty: {},
  other: cities.doc("x"),
};
const added = await cities.add(values);
const found = (await added.get()).data();
assert.ok(values.other.isEqual(found.other));
delete values.other, delete found.other;
assert.deepEqual(found, values);

// set, merge, update, delete, preconditions
const zurich = cities.doc("z ü%2F");
const written = await zurich.set({ name: "z", nested: { one: 1, two: 2 } });
await zurich.set({ nested: { two: 22 } }, { merge: true });
await zurich.set({ name: "y" }, { mergeFields: ["name"] });
await zurich.update({ "nested.one": FieldValue.delete(), "nested.three": 3 });
await zurich.update(new FieldPath("a.b", "`"), 4);
const snapshot = await zurich.get();
assert.deepEqual(snapshot.data(), { name: "y", nested: { two: 22, three: 3 }, "a.b": { "`": 4 } });
assert.ok(snapshot.createTime.isEqual(written.writeTime));
await refused(zurich.create({}), "ALREADY_EXISTS");
await refused(cities.doc("missing").update({ a: 1 }), "NOT_FOUND");
await refused(zurich.update({ a: 1 }, { lastUpdateTime: written.writeTime }), "FAILED_PRECONDITION");
await zurich.update({ a: 1 }, { lastUpdateTime: snapshot.updateTime });
const [first, second] = await db.getAll(zurich, cities.doc("missing"), { fieldMask: ["a"] });
assert.deepEqual([first.data(), second.exists], [{ a: 1 }, false]);
await zurich.delete();
await zurich.delete();
assert.equal((await zurich.get()).exists, false);
await refused(zurich.delete({ exists: true }), "NOT_FOUND");

// batches
const people = db.collection("people");
const batch = db.batch().set(people.doc("a"), { n: 1 }).update(people.doc("a"), { m: 2 }).delete(people.doc("b"));
assert.equal((await batch.commit()).length, 3);
await refused(db.batch().set(people.doc("c"), {}).create(people.doc("a"), {}).commit(), "ALREADY_EXISTS");
assert.equal((await people.doc("c").get()).exists, false);
const writer = db.bulkWriter();
writer.onWriteError(() => false);
const results = [people.doc("d"), people.doc("a")].map((document) => writer.create(document, {}));
results.push(writer.delete(people.doc("e")));
await writer.close();
const outcomes = await Promise.allSettled(results);
assert.deepEqual(outcomes.map((one) => one.reason?.code), [undefined, 6, undefined]);

// queries and lists
const numbers = db.collection("numbers");
assert.equal((await numbers.get()).empty, true);
for (let number = 0; number < 10; number++)
  await numbers.doc(String(9 - number)).set({ n: number, odd: number % 2 === 1, tags: [number, "x"] });
assert.equal(await ids(numbers), "0123456789");
assert.equal(await ids(numbers.where("odd", "==", true).where("n", ">", 3)), "420");
assert.equal(await ids(numbers.where("n", "in", [1, 2])), "78");
assert.equal(await ids(numbers.where("tags", "array-contains", 3)), "6");
assert.equal(await ids(numbers.orderBy("n", "desc").offset(1).limit(2)), "12");
assert.equal(await ids(numbers.orderBy("n").limitToLast(2)), "10");
assert.equal(await ids(numbers.orderBy("n").startAfter(6).endAt(8)), "21");
assert.equal(await ids(numbers.orderBy(FieldPath.documentId(), "desc").limit(2)), "98");
assert.equal(await ids(numbers.orderBy("n").startAt(await numbers.doc("1").get())), "10");
assert.deepEqual((await numbers.where("n", "==", 3).select("odd").get()).docs[0].data(), { odd: true });
assert.equal((await numbers.listDocuments()).length, 10);

// what is not open
await refused(db.collection("users").add({}), "PERMISSION_DENIED");
await refused(db.collection("using_rxinfer").get(), "PERMISSION_DENIED");
await refused(db.collection("using_rxinfer").add({}), "INVALID_ARGUMENT");
await db.terminate();

// imports, which are counted and no documents
const authClient = new OAuth2Client();
authClient.setCredentials({ access_token: process.argv[3], expiry_date: Date.now() + 3_600_000 });
const own = new Firestore({ ...options, auth: new GoogleAuth({ authClient }) });
const one = own.collection("using_rxinfer").doc("x");
const counted = { id: "9eb898b5-76a4-49b0-b1b6-ba209ba39adf", timestamp: Timestamp.now() };
await one.create(counted);
await refused(one.create(counted), "ALREADY_EXISTS");
await one.set(counted);
await refused(one.get(), "UNIMPLEMENTED");
await refused(one.parent.get(), "UNIMPLEMENTED");
await refused(one.update(counted), "UNIMPLEMENTED");
await refused(one.delete(), "UNIMPLEMENTED");
await own.terminate();
console.log("done");
