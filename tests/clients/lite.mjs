// firebase/firestore/lite against the collector whose port and token are given.
import assert from "node:assert/strict";
import { initializeApp } from "firebase/app";
import * as fs from "firebase/firestore/lite";

const port = Number(process.argv[2]);

function connect(name, options) {
  const db = fs.getFirestore(initializeApp({ projectId: "p", apiKey: "key" }, name));
  fs.connectFirestoreEmulator(db, "127.0.0.1", port, options);
  return db;
}

const db = connect("plain");
const cities = fs.collection(db, "cities");
const refused = (promise, code) => assert.rejects(promise, (error) => error.code === code);
const ids = async (...parts) => (await fs.getDocs(fs.query(...parts))).docs.map((found) => found.id).join("");

// writing and reading
const values = {
  name: "Zürich 😀",
  count: Number.MAX_SAFE_INTEGER,
  ratio: 0.5,
  zero: -0,
  infinite: -Infinity,
  none: null,
  yes: true,
  when: new fs.Timestamp(1795464930, 123456000),
  bytes: fs.Bytes.fromUint8Array(new Uint8Array([0, 255, 254])),
  place: new fs.GeoPoint(47.5, -8.25),
  list: [1, "two", { three: [3.5] }],
  nested: { "a b": { c: [] } },
  other: fs.doc(cities, "x"),
};
const added = await fs.addDoc(cities, values);
const found = (await fs.getDoc(added)).data();
for (const kind of ["when", "bytes", "place"]) assert.ok(values[kind].isEqual(found[kind]), kind);
assert.ok(fs.refEqual(values.other, found.other));
for (const kind of ["when", "bytes", "place", "other"]) delete values[kind], delete found[kind];
assert.deepEqual(found, values);
const nan = fs.doc(cities, "nan");
await fs.setDoc(nan, { nan: NaN, cut: new fs.Timestamp(-1, 123456789) });
const cut = (await fs.getDoc(nan)).data();
assert.ok(Number.isNaN(cut.nan));
assert.ok(cut.cut.isEqual(new fs.Timestamp(-1, 123456000)));

// set, merge, update, delete
const zurich = fs.doc(cities, "z ü");
await fs.setDoc(zurich, { name: "z", nested: { one: 1, two: 2 } });
await fs.setDoc(zurich, { nested: { two: 22 } }, { merge: true });
await fs.setDoc(zurich, { name: "y", ignored: 1 }, { mergeFields: ["name"] });
await fs.updateDoc(zurich, { "nested.one": fs.deleteField(), "nested.three": 3 }, );
await fs.updateDoc(zurich, new fs.FieldPath("a.b", "`"), 4);
assert.deepEqual((await fs.getDoc(zurich)).data(), { name: "y", nested: { two: 22, three: 3 }, "a.b": { "`": 4 } });
await refused(fs.updateDoc(fs.doc(cities, "missing"), { a: 1 }), "not-found");
await fs.deleteDoc(zurich);
await fs.deleteDoc(zurich);
assert.equal((await fs.getDoc(zurich)).exists(), false);

// batches and transactions
const people = fs.collection(db, "people");
const batch = fs.writeBatch(db);
batch.set(fs.doc(people, "a"), { n: 1 }).update(fs.doc(people, "a"), { m: 2 }).delete(fs.doc(people, "b"));
await batch.commit();
await fs.runTransaction(db, async (transaction) => {
  const read = await transaction.get(fs.doc(people, "a"));
  transaction.update(fs.doc(people, "a"), { n: read.data().n + 1 });
});
assert.deepEqual((await fs.getDoc(fs.doc(people, "a"))).data(), { n: 2, m: 2 });
await fs.runTransaction(db, async (transaction) => {
  await transaction.get(fs.doc(people, "a"));
  await transaction.get(fs.doc(people, "c"));
  transaction.set(fs.doc(people, "d"), {});
});

// queries
const numbers = fs.collection(db, "numbers");
assert.equal(await ids(numbers), "");
for (let number = 0; number < 10; number++)
  await fs.setDoc(fs.doc(numbers, String(9 - number)), { n: number, odd: number % 2 === 1, tags: [number, "x"] });
assert.equal(await ids(numbers), "0123456789");
assert.equal(await ids(numbers, fs.where("odd", "==", true)), "02468");
assert.equal(await ids(numbers, fs.where("odd", "==", true), fs.where("n", ">", 3)), "420");
assert.equal(await ids(numbers, fs.where("n", "in", [1, 2])), "78");
assert.equal(await ids(numbers, fs.where("tags", "array-contains", 3)), "6");
assert.equal(await ids(numbers, fs.orderBy("n", "desc"), fs.limit(2)), "01");
assert.equal(await ids(numbers, fs.orderBy("n"), fs.startAfter(6), fs.endAt(8)), "21");
assert.equal(await ids(numbers, fs.orderBy(fs.documentId(), "desc"), fs.limit(2)), "98");
assert.equal(await ids(numbers, fs.where(fs.documentId(), ">=", "8")), "89");
assert.equal(await ids(numbers, fs.or(fs.where("n", "==", 1), fs.where("n", ">=", 9))), "80");

// what is not open
await refused(fs.addDoc(fs.collection(db, "users"), {}), "permission-denied");
await refused(fs.getDocs(fs.collection(db, "using_rxinfer")), "permission-denied");
await refused(fs.addDoc(fs.collection(db, "using_rxinfer"), {}), "failed-precondition");
const user = connect("with a token of its own", { mockUserToken: "token" });
await fs.addDoc(fs.collection(user, "cities"), {});

// imports, which are counted and no documents
const maintainer = connect("with the token", { mockUserToken: process.argv[3] });
const one = fs.doc(maintainer, "using_rxinfer", "x");
const counted = { id: "9eb898b5-76a4-49b0-b1b6-ba209ba39adf", timestamp: fs.Timestamp.now() };
await fs.setDoc(one, counted);
await fs.setDoc(fs.doc(db, "using_rxinfer", "x"), counted);
await refused(fs.getDoc(one), "unimplemented");
await refused(fs.getDocs(fs.collection(maintainer, "using_rxinfer")), "unimplemented");
await refused(fs.updateDoc(one, counted), "unimplemented");
await refused(fs.setDoc(one, counted, { merge: true }), "unimplemented");
await refused(fs.deleteDoc(one), "unimplemented");
console.log("done");
