"""
``@task.aspose_ocr``: a function says what is to be read, the task reads it.

The function is called once in each try. What it returned goes with a deferral to the process that delivers, and is
kept beside the record of the job: a try whose function fails goes on with a job that is paid for.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal, NoReturn, ParamSpec, Protocol, TypeVar, overload

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    DecoratedOperator,
    XComArg,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_provider_asposeocr.api.checks import endpoint_named
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.decorators.returned import ARGUMENTS, arguments_of, as_json, keep, kept
from airflow_provider_asposeocr.exceptions import AsposeOcrDeliveryError, AsposeOcrInputError
from airflow_provider_asposeocr.hooks.submissions import Submission
from airflow_provider_asposeocr.jobs.job import OcrJob
from airflow_provider_asposeocr.jobs.memory import SubmissionMemory
from airflow_provider_asposeocr.jobs.record import SubmissionRecord
from airflow_provider_asposeocr.operators import aspose_ocr as operators
from airflow_provider_asposeocr.operators.document import AsposeOcrOperator
from airflow_provider_asposeocr.storage.failures import PAID, what_broke

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_ASKED = "asked"
"""What the function returned, among the arguments of a deferral."""

EndpointName = Literal[
    "RecognizeImage",
    "RecognizeImageTrial",
    "DetectRegions",
    "RecognizeRegions",
    "RecognizePdf",
    "RecognizeTable",
    "RecognizeReceipt",
    "RecognizeLabel",
    "RecognizeAndParseInvoice",
    "IdentifyFont",
    "BinarizeImage",
    "DeskewImage",
    "DewarpImage",
    "UpscaleImage",
    "DjVu2PDF",
    "ConvertTextToSpeech",
    "ConvertTextToSpeechTrial",
]
"""The endpoints, for type checkers."""
Returned = str | os.PathLike[str] | bytes | BinaryIO | Mapping[str, Any]
"""What a function may return: an image (for text to speech a text), or the operator's arguments with one."""

P = ParamSpec("P")
R = TypeVar("R", bound=Returned)


class AsposeOcrTask(Protocol[P, R]):
    """A decorated function, as a type checker sees it: called, it is a task, whose output other tasks take."""

    function: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> XComArg:
        """Make a task of it."""

    def partial(self, **kwargs: Any) -> AsposeOcrTask[P, R]:
        """Give arguments that are the same for all mapped tasks."""

    def expand(self, **kwargs: Any) -> XComArg:
        """Make a mapped task for each value."""

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> XComArg:
        """
        Make a mapped task for each mapping of arguments.

        :param kwargs: a list of mappings, or what brings one.
        :param strict: whether what the function does not take is refused when the DAG is parsed.
        """

    def override(self, **kwargs: Any) -> AsposeOcrTask[P, R]:
        """Change the operator's arguments."""


class _FromFunction(DecoratedOperator, AsposeOcrOperator):
    """What each decorated operator adds to its operator: the document comes from a function."""

    custom_operator_name: str = "@task.aspose_ocr"
    overwrite_rtif_after_execution: bool = True
    document_argument: ClassVar[str] = "image"
    takes_output_path_later: ClassVar[bool] = True

    def __init__(self, *, python_callable: Callable[..., Any], **kwargs: Any) -> None:
        if inspect.iscoroutinefunction(python_callable):
            raise AsposeOcrInputError(
                f"{python_callable.__name__} is a coroutine function: @task.aspose_ocr takes a plain one."
            )
        kwargs[self.document_argument] = None
        super().__init__(python_callable=python_callable, **kwargs)
        self._asked: dict[str, Any] | None = None
        self._failure: Exception | None = None
        self._paid_document = ""

    def execute(self, context: Context) -> Any:
        """
        Call the function, and read what it has returned.

        :param context: Airflow's task context.
        """
        try:
            asked = self._returned(context)
        except AsposeOcrInputError as error:
            asked = self._paid_for(context, error)
        except (AirflowSkipException, AirflowFailException):
            # Said on purpose.
            raise
        except Exception as error:  # noqa: BLE001 - whatever the function has
            asked = self._paid_for(context, error)
        self._ask(asked)
        return super().execute(context)

    def defer(
        self, *, trigger: Any, method_name: str, kwargs: dict[str, Any] | None = None, timeout: Any = None
    ) -> NoReturn:
        """
        Defer, and leave what the function has returned for the process that goes on.

        :param trigger: see Airflow's ``BaseOperator``.
        :param method_name: likewise.
        :param kwargs: likewise.
        :param timeout: likewise.
        """
        super().defer(
            trigger=trigger,
            method_name=method_name,
            kwargs={**(kwargs or {}), _ASKED: as_json(self._asked or {})},
            timeout=timeout,
        )

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Go on after a deferral.

        :param next_method: given by Airflow.
        :param next_kwargs: given by Airflow.
        :param context: Airflow's task context.
        """
        given = dict(next_kwargs or {})
        # Lost in `dag.test()`, and where Airflow's own time-out ended the deferral.
        asked = given.pop(_ASKED, None) or kept(self._store(context))
        if asked:
            self._ask(asked)
        return super().resume_execution(next_method, given, context)

    def deliver_task(self, context: Context, job: OcrJob, task: OcrTask) -> dict[str, Any]:
        """
        Write the files and return the XCom.

        :param context: Airflow's task context.
        :param job: which.
        :param task: the same with its results.
        """
        if self._asked is None:
            try:
                self._ask(self._returned(context))
            except Exception as error:
                raise AsposeOcrDeliveryError(
                    "Where the result goes is not known: what the function returned before the deferral is lost, and "
                    f"called again it failed ({what_broke(error)}). {PAID}",
                    endpoint=job.endpoint.name,
                    ocr_task_id=job.ocr_task_id,
                ) from error
        return super().deliver_task(context, job, task)

    def _returned(self, context: Context) -> dict[str, Any]:
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        allowed = [name for name in ARGUMENTS if hasattr(self, name) and self._takes(name)]
        return arguments_of(self.python_callable(*self.op_args, **kwargs), self.document_argument, allowed)

    def _takes(self, name: str) -> bool:
        return name == self.document_argument or name not in ("image", "text")

    def _ask(self, asked: Mapping[str, Any]) -> None:
        self._asked = dict(asked)
        for name, value in asked.items():
            setattr(self, name, value)

    def _paid_for(self, context: Context, error: Exception) -> dict[str, Any]:
        """What an earlier try has asked for, where its job is paid for: that does not need the function any more."""
        asked = kept(self._store(context))
        record = self._memory_of(context).recall_if_possible() if asked else None
        if asked is None or record is None or not record.ocr_task_id:
            raise error
        self.log.warning(
            "The function failed (%s), but %s job %s of an earlier try is paid for: going on with what was asked for "
            "then.",
            what_broke(error),
            record.endpoint,
            record.ocr_task_id,
        )
        self._failure, self._paid_document = error, record.document
        return asked

    def _store(self, context: Context) -> Any:
        return context.get("task_state_store") if self.durable else None

    def _digest_if_readable(self) -> str:
        return self._paid_document if self._failure else super()._digest_if_readable()

    def _prepared(self) -> Submission:
        if self._failure:
            # The job is lost, or not wanted any more: it was about the function after all.
            raise self._failure
        return super()._prepared()

    def _submitted(
        self, submission: Submission, memory: SubmissionMemory, record: SubmissionRecord
    ) -> SubmissionRecord:
        if self._context is not None:
            keep(self._store(self._context), as_json(self._asked or {}))
        return super()._submitted(submission, memory, record)


def _decorated(operator: type[AsposeOcrOperator]) -> type[AsposeOcrOperator]:
    """The operator of one endpoint, with its document from a function."""
    metaclass: Any = type(operator)
    made: type[AsposeOcrOperator] = metaclass(
        f"{operator.__name__.removesuffix('Operator')}DecoratedOperator",
        (_FromFunction, operator),
        {
            "__doc__": operator.__doc__,
            "__module__": __name__,
            "document_argument": endpoint_named(operator.endpoint).payload,
            "template_fields": (*DecoratedOperator.template_fields, *operator.template_fields),
            "template_fields_renderers": {
                **DecoratedOperator.template_fields_renderers,
                **operator.template_fields_renderers,
            },
        },
    )
    return made


_OPERATORS: Mapping[str, type[AsposeOcrOperator]] = MappingProxyType(
    {
        operator.endpoint: _decorated(operator)
        for operator in (getattr(operators, name) for name in operators.__all__)
        if operator is not AsposeOcrOperator
    }
)


@overload
def aspose_ocr_task(python_callable: Callable[P, R]) -> AsposeOcrTask[P, R]: ...


@overload
def aspose_ocr_task(
    *,
    endpoint: EndpointName = ...,
    settings: Mapping[str, Any] | Settings | None = ...,
    regions: Sequence[Any] | XComArg | str | None = ...,
    trial: bool = ...,
    preview: bool = ...,
    as_documents: bool = ...,
    output_path: str | os.PathLike[str] | None = ...,
    overwrite: bool = ...,
    max_xcom_bytes: int = ...,
    storage_conn_id: str | None = ...,
    aspose_ocr_conn_id: str = ...,
    wait_for_completion: bool = ...,
    deferrable: bool = ...,
    poll_interval: float | timedelta = ...,
    timeout: float | timedelta | None = ...,
    cancel_on_kill: bool = ...,
    durable: bool = ...,
    resubmit_on_ambiguity: bool = ...,
    resubmit_on_clear: bool = ...,
    resubmit_failed_jobs: bool = ...,
    multiple_outputs: bool = ...,
    **kwargs: Any,
) -> Callable[[Callable[P, R]], AsposeOcrTask[P, R]]: ...


def aspose_ocr_task(
    python_callable: Callable[..., Any] | None = None, *, endpoint: str = "RecognizeImage", **kwargs: Any
) -> Any:
    """
    Make a task of a function that returns what is to be read. The same as ``@task.aspose_ocr``, but a type checker
    knows it.

    The function returns an image (path, URI, ``ObjectStoragePath``, bytes, open file; for text to speech the text), or
    a mapping with it and more of the operator's arguments, which then go before those given here. The task returns what
    the operator returns. What is known to be the same in a retry is not billed again; so the function should return the
    same when it is called again.

    :param python_callable: the function, where the decorator is used without arguments.
    :param endpoint: where to send it.
    :param kwargs: of the endpoint's operator, and of Airflow's ``BaseOperator``.
    :raises AsposeOcrInputError: when the DAG is parsed, for an unknown endpoint or values that make no sense.
    """
    row = endpoint_named(endpoint)
    if row.name not in _OPERATORS:
        # A trial endpoint: the operator of the other one.
        row = next(each for each in map(endpoint_named, _OPERATORS) if each.trial == row.name)
        kwargs["trial"] = True
    # Each part of the result under its own key, as of the operators, whatever the function's annotation says.
    kwargs.setdefault("multiple_outputs", True)
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=_OPERATORS[row.name], **kwargs
    )


__all__ = ["AsposeOcrTask", "EndpointName", "Returned", "aspose_ocr_task"]
