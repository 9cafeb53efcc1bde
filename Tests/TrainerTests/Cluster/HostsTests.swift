import Formats
import Foundation
import Models
import TestSupport
import Testing

@testable import Trainer

/// Several hosts, and what starts them by Slurm and by Kubernetes; no torchrun is started.
@Suite("Run folders on several hosts") struct HostsTests {
    private let folder: TemporaryFolder
    private let settings: ClusterSettings

    init() throws {
        folder = try TemporaryFolder()
        settings = ClusterSettings(
            processes: 8, hosts: 3, rendezvous: Rendezvous(rawValue: "gpu-1.local:1234"), device: .cuda)
        try folder.makeFolder("bin")
    }

    private func prepared(teacher: String? = nil) throws -> PreparedJob {
        var run = JobRun(on: try fixture("golden/llama"), to: folder.path("Deep healed"))
        run.job.ids = try fixture("golden/llama/golden.safetensors")
        (run.job.steps, run.job.batch, run.job.teacher) = (1, 24, teacher)
        (run.job.moments, run.job.gradients) = (.f32, .f32)
        return try run.prepared()
    }

    private func planned(_ settings: ClusterSettings, teacher: String? = nil) throws -> RunFolder {
        try RunFolder.write(prepared(teacher: teacher), settings, to: folder.path("run"))
    }

    // MARK: Rendezvous

    @Test func hostsMeet() throws {
        #expect(Rendezvous(rawValue: "10.0.0.1")?.rawValue == "10.0.0.1:29500")
        #expect(Rendezvous(rawValue: "gpu-1.local:1234")?.rawValue == "gpu-1.local:1234")
        for text in ["", ":29500", "host:", "host:0", "host:65536", "host:1:2", "a b", "host;rm"] {
            #expect(Rendezvous(rawValue: text) == nil, "\(text)")
        }
        let torchrun = Torchrun(settings: settings)
        #expect(
            torchrun.options(host: 2).joined(separator: " ")
                == "--nnodes 3 --node-rank 2 --master-addr gpu-1.local --master-port 1234 --nproc-per-node 8")
        #expect(torchrun.elsewhere?.split(separator: "\n").count == 2)
        #expect(torchrun.elsewhere?.hasSuffix("--nproc-per-node 8 worker.py job.json") == true)
        // One host stays on its loopback address.
        let one = Torchrun(settings: ClusterSettings(device: .cuda))
        #expect(
            one.options(host: 0) == ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "gpu"])
        #expect(one.elsewhere == nil)
    }

    @Test func moreProcessesThanSequencesAreRefused() throws {
        var settings = settings
        (settings.hosts, settings.python) = (4, "/bin/false")
        let error = try #require(throws: UserFacingError.self) { try ClusterRun(prepared(), settings) }
        #expect(error.message.hasPrefix("32 processes for 24 sequences a step"))
        settings.rendezvous = nil
        let other = try #require(throws: UserFacingError.self) { try ClusterRun(prepared(), settings) }
        #expect(other.message.hasPrefix("--hosts needs --rendezvous HOST[:PORT]"))
    }

    // MARK: Slurm

    @Test func theBatchScriptIsFilledIn() throws {
        let path = try planned(settings).path
        let text = try String(contentsOf: URL(filePath: path + "/job.sbatch"), encoding: .utf8)
        let options = text.split(separator: "\n").filter { $0.hasPrefix("#SBATCH ") }.map { $0.dropFirst(8) }
        #expect(
            options == [
                "--job-name=deep-healed", "--nodes=3", "--ntasks-per-node=1", "--gpus-per-node=8",
                "--output=slurm-%j.log", "--open-mode=append", "--requeue", "--signal=B:USR1@600",
            ])
        #expect(text.contains("--nproc-per-node 8 worker.py job.json"))
        #expect(try bash(["-n", "job.sbatch"]) == 0)
        // It may be changed by hand.
        try (text + "#\n").write(toFile: path + "/job.sbatch", atomically: true, encoding: .utf8)
        _ = try RunFolder.open(path)
    }

    /// What is queued again: a run that was asked to stop and has no result yet.
    @Test(arguments: [
        (
            srun: "while [ ! -e stop ]; do sleep 0.02; done; sleep 0.2", isAsked: true, status: 0,
            isQueued: true
        ),
        (
            srun: "while [ ! -e stop ]; do sleep 0.02; done; mkdir result", isAsked: true, status: 0,
            isQueued: false
        ),
        (srun: "touch stop", isAsked: false, status: 0, isQueued: false),
        (srun: "exit 3", isAsked: false, status: 3, isQueued: false),
    ]) func theBatchScriptGoesOn(srun: String, isAsked: Bool, status: Int32, isQueued: Bool) throws {
        let path = try planned(settings).path
        try script("srun", "echo \"$@\" > srun.words; touch ready; \(srun)")
        try script("scontrol", "if [ $1 = show ]; then echo a; echo b; else echo \"$@\" > scontrol.words; fi")
        let ended = try bash(["job.sbatch", "--model", "/models/m"], signal: isAsked ? SIGUSR1 : nil)
        #expect(ended == status)
        let words = try? String(contentsOf: URL(filePath: path + "/scontrol.words"), encoding: .utf8)
        #expect(words == (isQueued ? "requeue 42\n" : nil))
        let asked = try String(contentsOf: URL(filePath: path + "/srun.words"), encoding: .utf8)
        #expect(asked.hasSuffix("torchrun a 20042 --model /models/m\n"))
    }

    // MARK: Kubernetes

    @Test func thePyTorchJobIsFilledIn() throws {
        let path = try planned(settings).path
        let job = try pyTorchJob(path)
        #expect(job["apiVersion"]?.string == "kubeflow.org/v1" && job["kind"]?.string == "PyTorchJob")
        #expect(job["metadata"]?["name"]?.string == "deep-healed")
        #expect(job["spec"]?["nprocPerNode"]?.string == "8")
        let replicas = job["spec"]?["pytorchReplicaSpecs"]
        #expect(replicas?["Master"]?["replicas"]?.int == 1 && replicas?["Worker"]?["replicas"]?.int == 2)
        let pods = replicas?["Worker"]?["template"]?["spec"]
        let container = try #require(pods?["containers"]?.array?.first)
        #expect(container["name"]?.string == "pytorch")
        #expect(container["resources"]?["limits"]?["nvidia.com/gpu"]?.int == 8)
        let mounted = container["volumeMounts"]?.array?.map { $0["name"]?.string }
        #expect(mounted == pods?["volumes"]?.array?.map { $0["name"]?.string })
        #expect(replicas?["Master"]?["template"] == replicas?["Worker"]?["template"])
    }

    /// A teacher lies on a volume of its own.
    @Test func teachersAreMounted() throws {
        let teacher = try fixture("golden/llama")
        let path = try planned(settings, teacher: teacher).path
        let replicas = try pyTorchJob(path)["spec"]?["pytorchReplicaSpecs"]
        let pods = try #require(replicas?["Worker"]?["template"]?["spec"])
        let container = try #require(pods["containers"]?.array?.first)
        #expect(
            container["command"]?.array?.last?.string?.contains("--model /model --teacher /teacher &") == true
        )
        #expect(
            container["volumeMounts"]?.array?.compactMap { $0["mountPath"]?.string }.contains("/teacher")
                == true)
        let claims = pods["volumes"]?.array?.compactMap { $0["persistentVolumeClaim"]?["claimName"]?.string }
        #expect(claims == ["RUN", "MODEL", "TEACHER"])
        let script = try String(contentsOfFile: path + "/job.sbatch", encoding: .utf8)
        #expect(
            script.contains(
                "[--model FOLDER] [--teacher FOLDER]     (else it is looked for in \(teacher), the"))
    }

    /// A pod that is asked to end lets the worker keep the run, and ends by a status that is started again.
    @Test(arguments: [
        (torchrun: "while [ ! -e stop ]; do sleep 0.02; done; sleep 0.2", isAsked: true, status: 143),
        (torchrun: "mkdir result", isAsked: false, status: 0),
        (torchrun: "exit 1", isAsked: false, status: 1),
    ]) func podsGoOn(torchrun: String, isAsked: Bool, status: Int32) throws {
        var one = settings
        (one.hosts, one.rendezvous) = (1, nil)
        let path = try planned(one).path
        let specs = try pyTorchJob(path)["spec"]?["pytorchReplicaSpecs"]
        #expect(specs?["Worker"] == nil)
        let command = specs?["Master"]?["template"]?["spec"]?["containers"]?.array?.first?["command"]?.array
        let words = try #require(command).compactMap(\.string)
        #expect(words.count == 3 && words[0] == "bash")
        try script("torchrun", "touch ready; \(torchrun)")
        try "".write(toFile: path + "/stop", atomically: true, encoding: .utf8)
        #expect(try bash(Array(words[1...]), signal: isAsked ? SIGTERM : nil) == status)
    }

    private func pyTorchJob(_ path: String) throws -> JSON {
        let text = try String(contentsOf: URL(filePath: path + "/pytorchjob.yaml"), encoding: .utf8)
        return try YAMLNode(parsing: text, file: "pytorchjob.yaml").json
    }

    // MARK: Scripts

    private func script(_ name: String, _ text: String) throws {
        let path = try folder.write("bin/\(name)", "#!/bin/bash\n\(text)\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    /// Runs bash in the run folder; sends it a signal once what it has started is there.
    private func bash(_ words: [String], signal: Int32? = nil) throws -> Int32 {
        let path = folder.path("run")
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = words
        process.currentDirectoryURL = URL(filePath: path)
        process.environment = [
            "PATH": folder.path("bin") + ":/usr/bin:/bin", "SLURM_SUBMIT_DIR": path, "SLURM_JOB_ID": "42",
            "SLURM_JOB_NODELIST": "a,b", "PET_NODE_RANK": "0",
        ]
        // A program inherits which signals are blocked, and the threads of a test block most of them.
        var (none, blocked) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, &blocked)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &blocked, nil) }
        try process.run()
        if let signal {
            while process.isRunning, !FileManager.default.fileExists(atPath: path + "/ready") {
                usleep(10_000)
            }
            kill(process.processIdentifier, signal)
        }
        process.waitUntilExit()
        return process.terminationStatus
    }
}
