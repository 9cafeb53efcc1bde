import Formats
import Foundation
import OrderedCollections
import Testing

@Suite("surgery dus")
struct DepthUpScaleTests {
    @Test func worksAsTypedInsideAModelsFolder() throws {
        let folder = try ModelFolder()
        let before = try folder.contents()
        let run = try CommandRun(["dus", "--from", "4", "--to", "6"], in: folder.model)
        #expect(run.code == 0, "\(run.messages)")
        #expect(run.output == "")
        #expect(run.messages.contains("4 → 6: 0-2,1-3"))
        #expect(try folder.names() == ["base", "base-dus-6"])
        #expect(try folder.contents() == before)
        let (source, result) = (try folder.tensors(of: "base"), try folder.tensors(of: "base-dus-6"))
        #expect(result.count == 15)
        for (layer, origin) in [0, 1, 2, 1, 2, 3].enumerated() {
            for name in ["mlp.down_proj.weight", "self_attn.o_proj.weight"] {
                #expect(result["model.layers.\(layer).\(name)"] == source["model.layers.\(origin).\(name)"])
            }
        }
        #expect(result["lm_head.weight"] == source["lm_head.weight"])
        let configuration = String(
            decoding: try folder.contents(of: "base-dus-6")["config.json"] ?? Data(), as: UTF8.self)
        #expect(configuration.contains("\"num_hidden_layers\": 6") && configuration.contains("1e-05"))
        #expect(try folder.contents(of: "base-dus-6")["README.md"] == before["README.md"])
        let verify = try CommandRun(["verify", "base-dus-6"], in: folder.url)
        #expect(verify.code == 0)
        #expect(verify.messages.contains("15 tensors are their source's byte for byte"))
    }

    @Test func tellsProgramsWhatItDid() throws {
        let folder = try ModelFolder()
        let run = try CommandRun(["dus", "base", "--to", "7", "-o", "out", "--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let json = try run.json()
        #expect(
            json.object?.keys == [
                "command", "source", "output", "dry_run", "layers", "configuration", "parameters", "bytes",
                "copied_bytes", "files", "left_behind", "resumed_bytes", "overflows", "seconds",
            ])
        #expect(json["layers"]?["origins"] == [0, 1, 2, 3, 1, 2, 3])
        #expect(json["configuration"] == [["key": "num_hidden_layers", "before": 4, "after": 7]])
        #expect(json["parameters"] == ["before": 164, "after": 260])
        let sizes = try folder.contents(of: "out").values.reduce(0) { $0 + $1.count }
        #expect(json["bytes"]?.int == sizes)
    }

    @Test func aDryRunWritesNothing() throws {
        let folder = try ModelFolder()
        let run = try CommandRun(["dus", "base", "--to", "6", "--dry-run", "--json"], in: folder.url)
        #expect(run.code == 0)
        #expect(run.messages.contains("config.json  num_hidden_layers: 4 → 6"))
        #expect(run.messages.contains("nothing was written"))
        #expect(try run.json()["dry_run"] == true)
        #expect(try folder.names() == ["base"])
    }

    @Test func cutsTheResultIntoShards() throws {
        let folder = try ModelFolder()
        let run = try CommandRun(
            ["dus", "base", "--to", "6", "-o", "out", "--shard-size", "256"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try folder.contents(of: "out").keys.contains("model.safetensors.index.json"))
        #expect(try folder.contents(of: "out").keys.contains("model-00001-of-00004.safetensors"))
        #expect(try CommandRun(["verify", "out"], in: folder.url).code == 0)
    }

    /// What is asked for is wrong: one sentence, exit code 64, nothing written.
    @Test(arguments: [
        (["--from", "32", "--to", "48"], "base has 4 layers, not 32; give --from 4, or leave --from out"),
        (["--to", "4"], "from 4 it reaches 5 to 64, not 4"),
        (["--to", "6", "--keep-first", "3", "--keep-last", "2"], "have to add up to 6 and be 2 to 4 each"),
        (["--from", "4"], "Missing expected argument '--to <to>'"),
        (["--to", "6", "--seed", "3"], "--seed decides the noise of copies"),
        (["--to", "six"], "The value 'six' is invalid for '--to <to>'"),
        (["--to", "6", "--shard-size", "-1"], "--shard-size"),
    ])
    func refusesACommandLine(arguments: [String], message: String) throws {
        let folder = try ModelFolder()
        let run = try CommandRun(["dus", "base"] + arguments, in: folder.url)
        #expect(run.code == 64)
        #expect(run.messages.contains(message), "\(run.messages)")
        #expect(run.output == "")
        #expect(try folder.names() == ["base"])
    }

    @Test func doesNotReplaceWithoutForce() throws {
        let folder = try ModelFolder()
        #expect(try CommandRun(["dus", "base", "--to", "6", "-o", "out"], in: folder.url).code == 0)
        let before = try folder.contents(of: "out")
        let refused = try CommandRun(["dus", "base", "--to", "8", "-o", "out"], in: folder.url)
        #expect(refused.code == 64)
        #expect(refused.messages.contains("out exists already"))
        #expect(try folder.contents(of: "out") == before)
        #expect(
            try CommandRun(["dus", "base", "--to", "8", "-o", "out", "--force"], in: folder.url).code == 0)
        #expect(try folder.tensors(of: "out").count == 19)
    }

    /// The input is not valid: one sentence, exit code 2, nothing written.
    @Test(arguments: [
        (#", "num_kv_shared_layers": 2"#, "num_kv_shared_layers = 2"),
        (#", "sliding_window_pattern": 4"#, "sliding_window_pattern = 4"),
        (#", "layer_types": ["a", "b", "c"]"#, "it has 3 entries for 4 layers"),
    ])
    func refusesAModel(settings: String, message: String) throws {
        let folder = try ModelFolder(settings: settings)
        let run = try CommandRun(["dus", "base", "--to", "6"], in: folder.url)
        #expect(run.code == 2)
        #expect(run.messages.contains(message), "\(run.messages)")
        #expect(run.messages.hasPrefix("error: "))
        #expect(try folder.names() == ["base"])
    }

    /// Configuration, tensors and tokenizer have to fit together, unless the user says otherwise.
    @Test(arguments: [["dus", "base", "--to", "6", "-o", "out"], ["convert", "base", "-o", "out"]])
    func refusesAModelThatDoesNotFitTogether(command: [String]) throws {
        let tokenizer = """
            {"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
             "decoder": null, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3%}, "merges": []}}
            """
        let cases = [
            (#""vocab_size": 3"#, "", "is [4, 4], but config.json asks for [3, 4]"),
            (#""hidden_size": 8"#, "", "config.json asks for [4, 8]"),
            ("", #", "e": 4, "f": 5"#, "the tokenizer's largest id is 5, but the vocabulary has 4 rows"),
        ]
        for (settings, tokens, message) in cases {
            let folder = try ModelFolder()
            let file = folder.model.appending(path: "config.json")
            if let colon = settings.firstIndex(of: ":") {
                let old = try String(contentsOf: file, encoding: .utf8)
                let new = old.replacingOccurrences(of: settings[...colon] + " 4", with: settings)
                try Data(new.utf8).write(to: file)
            }
            let text = tokenizer.replacingOccurrences(of: "%", with: tokens)
            try Data(text.utf8).write(to: folder.model.appending(path: "tokenizer.json"))
            for arguments in [command, command + ["--dry-run"]] {
                let run = try CommandRun(arguments, in: folder.url)
                #expect(run.code == 2)
                #expect(run.messages.hasPrefix("error: base: ") && run.messages.contains(message))
                #expect(run.messages.split(separator: "\n").count == 1, "\(run.messages)")
                #expect(try folder.names() == ["base"])
            }
            let run = try CommandRun(command + ["--allow-disagreement"], in: folder.url)
            #expect(run.code == 0 && run.messages.contains("warning: ") && run.messages.contains(message))
        }
    }

    @Test func rowsWithoutATokenAreFine() throws {
        let folder = try ModelFolder()
        let text = #"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}, "added_tokens": []}"#
        try Data(text.utf8).write(to: folder.model.appending(path: "tokenizer.json"))
        #expect(try CommandRun(["dus", "base", "--to", "6"], in: folder.url).code == 0)
    }

    @Test func refusesWhatIsNotThereOrCutOff() throws {
        let folder = try ModelFolder()
        let missing = try CommandRun(["dus", "nowhere", "--to", "6"], in: folder.url)
        #expect(missing.code == 2 && missing.messages.contains("nowhere does not exist"))
        let file = folder.model.appending(path: "model.safetensors")
        let whole = try Data(contentsOf: file)
        for length in [0, 4, 100, whole.count - 1] {
            try whole.prefix(length).write(to: file)
            let run = try CommandRun(["dus", "base", "--to", "6"], in: folder.url)
            #expect(run.code == 2, "\(length) bytes: \(run.messages)")
            #expect(run.messages.contains("model.safetensors"))
        }
        #expect(try folder.names() == ["base"])
    }
}
