import CommandLineSupport
import Formats
import Foundation
import OrderedCollections
import Testing

@Suite("surgery inspect, convert, verify")
struct SurgeryCommandTests {
    @Test(arguments: ["inspect", "dus", "convert", "verify", "undo", "diff", "restore", "average"])
    func explainsItself(command: String) throws {
        let folder = URL(filePath: "/")
        let run = try CommandRun([command, "--help"], in: folder)
        #expect(run.code == 0 && run.output.contains("USAGE: surgery \(command)"))
    }

    @Test func inspectTellsProgramsWhatAModelIs() throws {
        let folder = try ModelFolder()
        let run = try CommandRun(["inspect", "base", "--tensors", "--json"], in: folder.url)
        let json = try run.json()
        #expect(
            json.object?.keys == [
                "path", "model_type", "family", "architectures", "layers", "parameters", "bytes",
                "tensor_count",
                "types", "files", "quantization", "tokenizer", "operations", "lineage", "agrees",
                "inconsistencies",
                "notes",
                "tensors",
            ])
        #expect(json["layers"] == ["count": 4, "prefix": "model.layers."])
        #expect(json["parameters"] == 164 && json["bytes"] == 656 && json["tensor_count"] == 11)
        #expect(
            json["tensors"]?[0] == [
                "name": "lm_head.weight", "type": "F32", "shape": [4, 4], "bytes": 64,
                "file": "model.safetensors",
            ])
    }

    @Test func inspectEndsWithTwoWhenSomethingDisagrees() throws {
        let folder = try ModelFolder(settings: #", "tie_word_embeddings": false"#)
        #expect(try CommandRun(["inspect"], in: folder.model).code == 0)
        let other = try ModelFolder(settings: #", "intermediate_size": 5"#)
        let run = try CommandRun(["inspect"], in: other.model)
        #expect(run.code == 2)
        #expect(
            run.messages.contains("error: tensor model.layers.0.mlp.down_proj.weight is [4, 4], and 3 others")
        )
    }

    @Test func convertRoundsAndTellsWhatOverflows() throws {
        let folder = try ModelFolder(first: 1e5)
        let run = try CommandRun(
            ["convert", "base", "-o", "out", "--dtype", "f16", "--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(run.messages.contains("1 numbers of lm_head.weight are too large"))
        #expect(try run.json()["overflows"]?[0] == ["tensor": "lm_head.weight", "count": 1])
        let result = try Checkpoint.open(folder.url.appending(path: "out").path)
        #expect(result.tensors.values.allSatisfy { $0.type == .f16 })
        #expect(result.configuration?["torch_dtype"] == "float16")
        let verify = try CommandRun(["verify", "out", "--json"], in: folder.url)
        #expect(verify.code == 0)
        #expect(try verify.json()["derived"] == 11)
    }

    @Test func convertWithoutATypeKeepsEveryByte() throws {
        let folder = try ModelFolder()
        let run = try CommandRun(["convert", "base", "-o", "out", "--shard-size", "300B"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try folder.tensors(of: "out") == folder.tensors(of: "base"))
        #expect(try folder.contents(of: "out")["config.json"] == folder.contents()["config.json"])
    }

    @Test func verifyFindsAChangedByte() throws {
        let folder = try ModelFolder()
        #expect(try CommandRun(["dus", "base", "--to", "6", "-o", "out"], in: folder.url).code == 0)
        let file = folder.url.appending(path: "out/model.safetensors")
        var bytes = try Data(contentsOf: file)
        bytes[bytes.count - 3] ^= 1
        try bytes.write(to: file)
        let run = try CommandRun(["verify", "out", "--json"], in: folder.url)
        #expect(run.code == 2)
        #expect(
            run.messages.contains(
                "not proven: tensor model.layers.5.self_attn.o_proj.weight: its byte 61 is"),
            "\(run.messages)")
        #expect(try run.json()["proven"] == false)
    }

    /// A source that was changed is named, even where all its tensors are the same.
    @Test func verifyFindsAChangedSource() throws {
        let folder = try ModelFolder()
        #expect(try CommandRun(["dus", "base", "--to", "6", "-o", "out"], in: folder.url).code == 0)
        let whole = try CommandRun(["verify", "out", "--json"], in: folder.url)
        #expect(whole.code == 0)
        #expect(try whole.json()["changed_sources"] == [])
        let file = folder.model.appending(path: "model.safetensors")
        var bytes = try Data(contentsOf: file)
        let space = try #require(bytes.lastIndex(of: UInt8(ascii: "}"))) + 1
        #expect(bytes[space] == UInt8(ascii: " "))
        bytes[space] = UInt8(ascii: "\n")
        try bytes.write(to: file)
        let run = try CommandRun(["verify", "out", "--json"], in: folder.url)
        #expect(run.code == 2)
        #expect(
            run.messages.contains(
                "base/model.safetensors is not the file that the result was made from: its SHA-256 is "),
            "\(run.messages)")
        let json = try run.json()
        let change = try #require(json["changed_sources"]?[0])
        let manifest = try #require(try Checkpoint.open(folder.url.appending(path: "out").path).manifest)
        #expect(change["expected"]?.string == manifest.sources[0].sha256)
        #expect(change["found"]?.string?.utf8.count == 64 && change["found"] != change["expected"])
        #expect(json["proven"] == false && json["failures"] == [] && json["copied"] == 15)
    }

    @Test func verifyFindsTheSourceElsewhere() throws {
        let folder = try ModelFolder()
        #expect(try CommandRun(["dus", "base", "--to", "6", "-o", "out"], in: folder.url).code == 0)
        try FileManager.default.moveItem(at: folder.model, to: folder.url.appending(path: "moved"))
        let lost = try CommandRun(["verify", "out"], in: folder.url)
        #expect(lost.code == 2 && lost.messages.contains("base/model.safetensors"), "\(lost.messages)")
        #expect(try CommandRun(["verify", "out", "--source", "moved"], in: folder.url).code == 0)
        let none = try CommandRun(["verify", "moved"], in: folder.url)
        #expect(none.code == 2 && none.messages.contains("has no surgery.json"))
    }

    /// A proof that a signal stops says so and ends as the shell expects, with nothing on standard output.
    @Test func verifyIsStopped() throws {
        let folder = try ModelFolder()
        #expect(try CommandRun(["dus", "base", "--to", "6", "-o", "out"], in: folder.url).code == 0)
        // The checksum of a further source, with a large hole, keeps the command busy.
        let size = 16_000_000_000
        let header = Array(#"{"h":{"dtype":"U8","shape":[\#(size)],"data_offsets":[0,\#(size)]}}"#.utf8)
        let hole = folder.url.appending(path: "hole.safetensors")
        try Data([UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header).write(to: hole)
        let handle = try FileHandle(forWritingTo: hole)
        try handle.truncate(atOffset: UInt64(8 + header.count + size))
        try handle.close()
        let path = folder.url.appending(path: "out").path
        var manifest = try #require(try Checkpoint.open(path).manifest)
        manifest.sources.append(
            .init(path: "../hole.safetensors", bytes: 8 + header.count + size, sha256: "0"))
        try Data(manifest.serialized()).write(to: URL(filePath: path + "/surgery.json"))
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "surgery")
        process.arguments = ["verify", "out", "--json"]
        process.currentDirectoryURL = folder.url
        let (output, messages) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, messages)
        try process.run()
        while process.isRunning, try !catches(SIGTERM, process.processIdentifier) { usleep(1000) }
        kill(process.processIdentifier, SIGTERM)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 143)
        let text = String(decoding: messages.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(text.hasSuffix("; nothing is proven, begin again\n"), "\(text)")
        #expect(output.fileHandleForReading.readDataToEndOfFile().isEmpty)
    }

    /// Whether a process has a handler for a signal, as Linux says.
    private func catches(_ signal: Int32, _ process: Int32) throws -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("SigCgt:") })
        else { return false }
        let mask = try #require(UInt64(line.dropFirst(7).filter(\.isHexDigit), radix: 16))
        return mask & 1 << UInt64(signal - 1) != 0
    }

    /// A manifest from before the first release: what needs it refuses it by name, all else says that it stays behind.
    @Test func aManifestOfFormat1() throws {
        let folder = try ModelFolder()
        let old = #"{"format": 1, "tool": "surgery 0.1.0", "history": [], "operations": []}"#
        try Data(old.utf8).write(to: folder.model.appending(path: "surgery.json"))
        let verify = try CommandRun(["verify", "base"], in: folder.url)
        #expect(verify.code == 2 && verify.output == "")
        #expect(
            verify.messages.hasPrefix("error: base/surgery.json has format 1, ")
                && verify.messages.contains("make the result again from its source, or remove"),
            "\(verify.messages)")
        let inspect = try CommandRun(["inspect", "base"], in: folder.url)
        #expect(inspect.code == 0)
        #expect(
            inspect.messages.contains("warning: left out: base/surgery.json has format 1, "),
            "\(inspect.messages)")
        for arguments in [["dus", "base", "--to", "6"], ["convert", "base", "--dtype", "f16"]] {
            let dry = try CommandRun(arguments + ["-o", "out", "--force", "--dry-run"], in: folder.url)
            let run = try CommandRun(arguments + ["-o", "out", "--force", "--json"], in: folder.url)
            for run in [dry, run] {
                #expect(run.code == 0)
                #expect(
                    run.messages.contains("left behind: surgery.json (format 1, which only versions before"),
                    "\(run.messages)")
            }
            #expect(try run.json()["left_behind"]?[0]?["name"] == "surgery.json")
            let result = try Checkpoint.open(folder.url.appending(path: "out").path)
            #expect(result.manifest?.history == [] && result.manifest?.operations.count == 1)
        }
    }
}
