internal import Formats

/// The batch script that carries a ``RunFolder`` out by Slurm: `job.sbatch`.
///
/// Its options are those of sbatch's manual. Ten minutes before the time limit Slurm sends SIGUSR1 to the script, which makes the
/// file `stop`; the worker keeps the run and ends, and the script queues itself again.
enum SlurmScript {
    static let fileName = "job.sbatch"

    /// The script's text.
    static func text(_ job: ClusterJob, _ settings: ClusterSettings) -> String {
        let processes = settings.processesToAskFor
        let asked =
            settings.device == .cuda
            ? "--gpus-per-node=\(processes)" : "--cpus-per-task=\(processes)"
        return """
            #!/bin/bash
            # Carries the job of this folder out by Slurm on \(settings.hostsAndProcesses). Submit it in this folder, which all hosts share:
            #   sbatch job.sbatch \(job.folderOptions)
            # The partition, the account and the time limit are the cluster's: give them to sbatch, or add them here. torchrun has to be
            # on PATH, of a Python that has what requirements.txt names.
            #SBATCH --job-name=\(settings.name(of: job))
            #SBATCH --nodes=\(settings.hosts)
            #SBATCH --ntasks-per-node=1
            #SBATCH \(asked)
            #SBATCH --output=slurm-%j.log
            #SBATCH --open-mode=append
            #SBATCH --requeue
            #SBATCH --signal=B:USR1@600

            cd "$SLURM_SUBMIT_DIR" && [ -f job.json ] || { echo "submit it in the run folder" >&2; exit 2; }
            rm -f stop
            # Ten minutes before the time limit: the worker ends the step at hand, keeps the run and stops.
            asked=no
            trap 'asked=yes; touch stop' USR1
            # Slurm counts hosts as the list has them, so the first is number 0.
            first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
            port=$((20000 + SLURM_JOB_ID % 20000))
            srun --kill-on-bad-exit=1 bash -c '
                exec torchrun --nnodes "$SLURM_NNODES" --node-rank "$SLURM_NODEID" --master-addr "$1" --master-port "$2" \\
                    --nproc-per-node \(processes) worker.py job.json "${@:3}"' torchrun "$first" "$port" "$@" &
            \(ShellScript.waiting)
            if [ "$status" -eq 0 ] && [ "$asked" = yes ] && [ ! -d result ]; then scontrol requeue "$SLURM_JOB_ID"; fi
            exit "$status"

            """
    }
}

extension ClusterJob {
    /// How the worker is told where models lie, and where it looks else.
    fileprivate var folderOptions: String {
        let options = [("--model", model.path)] + (teacher.map { [("--teacher", $0.model.path)] } ?? [])
        return options.map { "[\($0.0) FOLDER]" }.joined(separator: " ") + "     (else it is looked for in "
            + options.map(\.1).joined(separator: ", the teacher in ") + ")"
    }
}

/// What scripts have in common.
enum ShellScript {
    /// Waits for the last program that was started: a signal that the script takes ends a wait before its time.
    static let waiting = """
        while kill -0 "$!" 2>/dev/null; do wait "$!"; done
        wait "$!"
        status=$?
        """
}

extension ClusterSettings {
    /// Processes on a host that are asked for; one where their number is left to the host, which only it knows.
    var processesToAskFor: Int { processes ?? 1 }

    /// How many hosts and processes there are, in words.
    var hostsAndProcesses: String {
        let count = processesToAskFor
        return (hosts == 1 ? "one host, " : "\(hosts) hosts, ")
            + (count == 1 ? "one process" : "\(count) processes")
            + (hosts == 1 ? "" : " each")
    }

    /// What queues call a job: lower-case letters, digits and dashes, of its output's name.
    func name(of job: ClusterJob) -> String {
        let words = Path.name(job.output).lowercased().split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
        let name = words.joined(separator: "-").prefix(40).drop { !$0.isLetter }
        return name.isEmpty ? "heal" : String(name)
    }
}
