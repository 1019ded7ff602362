// Runs an exported model in ONNX Runtime beside `mqc logits`.
//
//     npm install --ignore-scripts onnxruntime-node
//     mqc export --checkpoint CHECKPOINT --format onnx --out model.onnx
//     mqc logits --checkpoint CHECKPOINT --precision f32 --tokens "80 81 83" --all | node docs/onnx.cjs model.onnx
//
// It prints the largest difference. The JSON on standard input may also have
// "cond" and "features", a row for each token, and "batch", the number of
// windows that the tokens are cut into.
const fs = require("fs");
const ort = require("onnxruntime-node");

async function main() {
	const session = await ort.InferenceSession.create(process.argv[2]);
	const program = JSON.parse(fs.readFileSync(0, "utf8"));
	const B = program.batch ?? 1;
	const T = program.tokens.length / B;
	const integers = (x) => BigInt64Array.from(x.flat(), BigInt);
	const inputs = { tokens: new ort.Tensor("int64", integers(program.tokens), [B, T]) };
	if (session.inputNames.includes("cond"))
		inputs.cond = new ort.Tensor("int64", integers(program.cond), [B, T, program.cond[0].length]);
	if (session.inputNames.includes("features"))
		inputs.features = new ort.Tensor("float32", Float32Array.from(program.features.flat()), [B, T, program.features[0].length]);

	const outputs = await session.run(inputs);
	const ours = outputs[session.outputNames[0]].data;
	const logits = program.logits.flat();
	if (ours.length !== logits.length) throw new Error(`${ours.length} logits, mqc has ${logits.length}`);
	let worst = 0;
	logits.forEach((x, i) => {
		const d = Math.abs(x - ours[i]);
		if (!(d <= worst)) worst = d;
	});
	console.log(`largest difference ${worst.toPrecision(2)}`);
}

main();
