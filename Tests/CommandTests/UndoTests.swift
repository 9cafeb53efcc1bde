import Formats
import Foundation
import Testing

/// What was done comes undone: the same files, byte for byte, without the source.
@Suite("surgery undo")
struct UndoTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let presets = root.path + "/Tests/FormatsTests/Fixtures/HDF5/presets/"
    private static let corpus = root.path + "/Examples/data/korean.train.jsonl"

    /// A folder with a copy of a model in it, as `base`.
    private func folder(_ model: String = root.path + "/Examples/base") throws -> ModelFolder {
        let folder = try ModelFolder()
        try FileManager.default.removeItem(at: folder.model)
        try FileManager.default.copyItem(atPath: model, toPath: folder.model.path)
        // What is no part of the preset does not come along.
        try? FileManager.default.removeItem(at: folder.model.appending(path: "golden.safetensors"))
        try Data("한국어\n자바스크립트\n".utf8).write(to: folder.url.appending(path: "tokens.txt"))
        return folder
    }

    /// The files of a folder and of the folders in it.
    private func files(_ name: String, in folder: ModelFolder) throws -> [String: Data] {
        let root = folder.url.appending(path: name)
        var files: [String: Data] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
            let file = root.appending(path: path)
            if try file.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true { continue }
            files[path] = try Data(contentsOf: file)
        }
        return files
    }

    @discardableResult
    private func surgery(_ arguments: [String], in folder: ModelFolder, code: Int32 = 0) throws -> CommandRun
    {
        let run = try CommandRun(arguments, in: folder.url)
        #expect(run.code == code, "\(arguments): \(run.messages)")
        return run
    }

    /// Does steps to a model, takes it away, and has the result say what it was.
    private func check(_ steps: [String], of model: String = root.path + "/Examples/base") throws {
        let folder = try folder(model)
        let before = try files("base", in: folder)
        try surgery(["run", "base", "-o", "out"] + steps.flatMap { ["--step", $0] }, in: folder)
        try FileManager.default.removeItem(at: folder.model)
        let run = try surgery(["undo", "out", "-o", "again", "--json"], in: folder)
        let after = try files("again", in: folder)
        #expect(after.keys.sorted() == before.keys.sorted())
        for (name, bytes) in before { #expect(after[name] == bytes, "\(name)") }
        let report = try run.json()
        #expect(report["undone"]?.bool == true && report["lost"]?.array == [])
        #expect(report["files"]?.array?.count == before.count)
    }

    @Test(arguments: [
        ["dus --to 12"], ["dus --to 13 --noise 0.1"], ["layers --plan '0-7,7-0,3:zero,2:scale=0.7'"],
        ["expand --to 11"], ["convert --dtype f32"], ["convert --to hdf5"], ["convert"],
        ["resize-vocab --tokens tokens.txt"], ["resize-vocab --tokens tokens.txt --tokens-as added"],
        ["resize-vocab --size 1601 --pad-to-multiple-of 64"],
        ["resize-vocab --learn 100 --corpus '\(corpus)'"],
        ["dus --to 12", "resize-vocab --tokens tokens.txt", "convert --dtype f32"],
        ["expand --to 10", "convert --to hdf5"], ["resize-vocab --size 1600", "dus --to 9"],
    ]) func whatWasDoneComesUndone(steps: [String]) throws { try check(steps) }

    /// HDF5 files come back with their groups and attributes, in as many files.
    @Test(arguments: [
        ("llama-bf16", ["dus --to 6"]), ("llama-bf16", ["convert --to safetensors"]),
        ("llama-bf16", ["dus --to 6", "resize-vocab --size 40", "convert --to safetensors"]),
        ("mistral-sharded", ["dus --to 5"]), ("mistral-sharded", ["convert --to safetensors"]),
        ("gpt2", ["convert --to safetensors", "dus --to 3"]),
    ]) func presetsComeBack(preset: String, steps: [String]) throws {
        let folder = try folder(Self.presets + preset)
        let layers = try Checkpoint.open(folder.model.path).configuration?["config"]?["num_layers"]?.int
        try check(
            steps.map { $0 == "dus --to 3" ? "dus --to \((layers ?? 0) + 1)" : $0 }, of: Self.presets + preset
        )
    }

    /// Two results, one made of the other, are undone one after the other.
    @Test func aResultOfAResult() throws {
        let folder = try folder()
        let base = try files("base", in: folder)
        try surgery(["dus", "base", "--to", "12", "-o", "one"], in: folder)
        let one = try files("one", in: folder)
        try surgery(["resize-vocab", "one", "--size", "1601", "-o", "two"], in: folder)
        try surgery(["undo", "two", "-o", "first"], in: folder)
        #expect(try files("first", in: folder) == one)
        try surgery(["undo", "first", "-o", "zeroth"], in: folder)
        #expect(try files("zeroth", in: folder) == base)
        try surgery(["undo", "two", "-o", "first"], in: folder, code: 64)
    }

    /// In several files, which do not hold the layers in order, and with a file that is not to be changed.
    @Test func shardsComeBack() throws {
        let folder = try folder()
        try surgery(["convert", "base", "--shard-size", "1MB", "-o", "shards"], in: folder)
        let shards = try files("shards", in: folder)
        #expect(shards.keys.contains("model.safetensors.index.json") && shards.count > 7)
        try surgery(["layers", "shards", "--plan", "7-0", "-o", "turned"], in: folder)
        try surgery(["undo", "turned", "-o", "again"], in: folder)
        #expect(try files("again", in: folder) == shards)
    }

    /// What is lost is named, and nothing is written.
    @Test(arguments: [
        (["prune --to 6 --drop 3,4"], "model.layers.3.mlp.down_proj.weight", "it is not in the result"),
        (["prune --to 7 --drop 7"], "model.layers.7.self_attn.o_proj.weight", "it is not in the result"),
        (
            ["convert --dtype f32", "convert --dtype f16"], "model.norm.weight",
            "it was rounded from F32 to F16"
        ),
        (
            ["layers --plan '0-6,7:scale=0.5'"], "model.layers.7.mlp.down_proj.weight",
            "it was multiplied by a factor"
        ),
        (["layers --plan '0-6,7:zero'"], "model.layers.7.self_attn.o_proj.weight", "it is not in the result"),
    ]) func whatIsLostIsTold(steps: [String], tensor: String, reason: String) throws {
        let folder = try folder()
        try surgery(["run", "base", "-o", "out"] + steps.flatMap { ["--step", $0] }, in: folder)
        let run = try surgery(["undo", "out", "-o", "again", "--json"], in: folder, code: 2)
        let lost = try #require(try run.json()["lost"]?.array)
        #expect(lost.contains { $0["name"]?.string == tensor && $0["reason"]?.string == reason }, "\(lost)")
        #expect(try folder.names() == ["base", "out", "tokens.txt"])
    }

    @Test func rowsThatAreLostAreTold() throws {
        let folder = try folder()
        try surgery(["resize-vocab", "base", "--size", "1100", "-o", "grown"], in: folder)
        try surgery(["resize-vocab", "grown", "--size", "1030", "-o", "out"], in: folder)
        let run = try surgery(["undo", "out", "-o", "again", "--json"], in: folder, code: 2)
        #expect(
            try run.json()["lost"]?.array?.map { $0["reason"]?.string } == [
                "rows 1030–1099: not in the result", "rows 1030–1099: not in the result",
            ])
    }

    /// A result that was changed since is never taken for what it was.
    @Test(arguments: ["model.safetensors", "tokenizer.json", "config.json"])
    func aChangedResultIsNoticed(file: String) throws {
        let folder = try folder()
        try surgery(["dus", "base", "--to", "9", "-o", "out"], in: folder)
        let path = folder.url.appending(path: "out/\(file)")
        var bytes = try Data(contentsOf: path)
        if file == "model.safetensors" { bytes[bytes.count - 1] ^= 1 } else { bytes.append(0x20) }
        try bytes.write(to: path)
        let isKept = file == "config.json"
        let run = try surgery(["undo", "out", "-o", "again"], in: folder, code: isKept ? 0 : 2)
        #expect(isKept || run.messages.contains("since"), "\(run.messages)")
        #expect(try folder.names().contains("again") == isKept)
        #expect(try folder.names().contains { $0.hasSuffix(".partial") } == false)
    }

    /// A manifest that names files outside its folder, or more than there is, is refused.
    @Test(arguments: [
        ("\"name\":\"config.json\"", "\"name\":\"../config.json\""),
        ("\"name\":\"config.json\"", "\"name\":\"/config.json\""),
        ("\"source\":0", "\"source\":7"), ("\"offset\":", "\"offset\":9"),
        ("\"between\":\"", "\"between\":\"AAAA"), ("\"bytes\":", "\"bytes\":9"),
        ("\"bytes\":", "\"bytes\":99999999999"),
    ]) func anEditedManifestIsRefused(part: String, edited: String) throws {
        let folder = try folder()
        try surgery(["dus", "base", "--to", "9", "-o", "out"], in: folder)
        let path = folder.url.appending(path: "out/surgery.json")
        let text = try String(contentsOf: path, encoding: .utf8)
        #expect(text.contains(part))
        try Data(text.replacingOccurrences(of: part, with: edited).utf8).write(to: path)
        let run = try surgery(["undo", "out", "-o", "again"], in: folder, code: 2)
        #expect(!run.messages.isEmpty)
        #expect(try folder.names() == ["base", "out", "tokens.txt"])
    }

    @Test func aDryRunWritesNothing() throws {
        let folder = try folder()
        try surgery(["dus", "base", "--to", "9", "-o", "out"], in: folder)
        let run = try surgery(["undo", "out", "-o", "again", "--dry-run"], in: folder)
        #expect(run.messages.contains("nothing was written"))
        #expect(try folder.names() == ["base", "out", "tokens.txt"])
    }

    @Test func whatHasNoManifestIsRefused() throws {
        let folder = try ModelFolder()
        let run = try surgery(["undo", "base", "-o", "again"], in: folder, code: 2)
        #expect(run.messages.contains("has no surgery.json"))
    }
}
