import Formats
import Foundation
import Testing

@Suite("surgery restore, average")
struct MergingTests {
    private func restored(_ arguments: String...) -> [String] {
        ["restore", "made", "--instruct", "it", "--base", "base"] + arguments
    }

    /// A model with another's difference, one made of it, and what is said of both.
    @Test func addsAndProves() throws {
        let folder = try ModelFolder()
        let other = try ModelFolder(first: 2.5)
        try FileManager.default.copyItem(at: other.model, to: folder.url.appending(path: "it"))
        #expect(try CommandRun(["expand", "base", "--after", "1", "-o", "made"], in: folder.url).code == 0)
        let before = try folder.contents()
        let run = try CommandRun(restored("-o", "out", "--json"), in: folder.url)
        let json = try run.json()
        #expect(run.code == 0 && json["mapped_tensors"] == 11, "\(run.messages)")
        #expect(
            json["not_mapped"]?.array?.compactMap { $0["tensor"]?.string }.sorted() == [
                "model.layers.2.mlp.down_proj.weight", "model.layers.2.self_attn.o_proj.weight",
            ])
        #expect(run.messages.contains("added") && run.messages.contains("left as they are"))
        #expect(try CommandRun(["verify", "out"], in: folder.url).code == 0)
        #expect(try folder.contents() == before)
        // The first number of every tensor was 0.5, and is 2.5 where the base's went.
        let (old, new) = (try folder.tensors(of: "made"), try folder.tensors(of: "out"))
        for (name, bytes) in new where !name.hasPrefix("model.layers.2.") {
            let first = unsafe bytes.withUnsafeBytes { unsafe $0.load(as: Float.self) }
            #expect(first == 2.5 && bytes.dropFirst(4) == old[name]?.dropFirst(4), "\(name)")
        }
        // A model in the way, and a step of a run.
        #expect(try CommandRun(restored("-o", "it", "--force"), in: folder.url).code == 64)
        let step = "restore --instruct it --base base"
        let both = try CommandRun(
            ["run", "base", "--step", "expand --after 1", "--step", step, "-o", "one"], in: folder.url)
        #expect(both.code == 0, "\(both.messages)")
        #expect(try folder.tensors(of: "one") == new)
        #expect(try CommandRun(["verify", "one"], in: folder.url).code == 0)
    }

    @Test func averages() throws {
        let folder = try ModelFolder()
        let other = try ModelFolder(first: 2.5)
        try FileManager.default.copyItem(at: other.model, to: folder.url.appending(path: "it"))
        let run = try CommandRun(
            ["average", "base", "it", "--weights", "0.75,0.25", "--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try run.json()["weights"] == [0.75, 0.25])
        let name = "base-average-2"
        for (tensor, bytes) in try folder.tensors(of: name) {
            #expect(unsafe bytes.withUnsafeBytes { unsafe $0.load(as: Float.self) } == 1, "\(tensor)")
        }
        #expect(try CommandRun(["verify", name], in: folder.url).code == 0)
        let one = try CommandRun(["average", "base"], in: folder.url)
        #expect(one.code == 64 && one.messages.contains("one model has no mean"))
        let short = try CommandRun(["average", "base", "it", "--weights", "1"], in: folder.url)
        #expect(short.code == 64 && short.messages.contains("there are 2 models"))
    }
}
