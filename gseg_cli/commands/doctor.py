"""gseg doctor: what is wrong with this installation, and the command that fixes it."""

import os


def doctor() -> None:
    """Check this installation, and show how to fix it.

    Looks at the inference engines, the GPU, and what keeps them from working. Shows which precision trainings on this
    CPU were quicker in.
    """
    from gseg_cli.options import precision_trials
    from gseg_cli.output import current_output
    from gseg_cli.precision_trials import remembered
    from gseg_runtime.doctor import Finding, check
    from gseg_runtime.installation import look

    findings = check(look(os.environ.get("CUDA_VISIBLE_DEVICES")))
    findings += [Finding("ok", f"--precision auto: {trial.about()}") for trial in remembered(precision_trials())]
    errors = [
        {"message": finding.what, "hint": finding.fix or None} for finding in findings if finding.level == "error"
    ]
    lines = []
    for finding in findings:
        if finding.level != "error":  # those go to stderr, as every error does
            lines += [f"{finding.level}: {finding.what}", *([f"fix: {finding.fix}"] if finding.fix else [])]
    data = {"findings": [finding._asdict() for finding in findings]}
    current_output().result(data, "\n".join(lines), status="error" if errors else "success", errors=errors)
