"""Walks Django's admin over 97 tables: lists, searches, adds, changes, looks at the history and deletes, page by page.

Usage: admin.py PORT DATABASE STRAIGHT_PORT. Tables are made straight; what is walked is at PORT. Prints one line a page: its name, and
`ok` or what was wrong. A table `people` (id, name, email) with one row has to be there: people are listed, searched and looked at.
"""
import sys

import django
from django.apps import AppConfig
from django.conf import settings

port, database, straight = sys.argv[1:]
one = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "USER": "app", "NAME": database}


class Walk(AppConfig):
    name, label, path = "__main__", "walk", "."


settings.configure(
    SECRET_KEY="x", DEBUG=True, ALLOWED_HOSTS=["*"], USE_TZ=True, ROOT_URLCONF=__name__, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {**one, "PORT": port}, "straight": {**one, "PORT": straight}},
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages", "__main__.Walk"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages"]}}],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections, models  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


class Person(models.Model):
    name = models.TextField()
    email = models.TextField(null=True)

    class Meta:
        app_label, db_table, managed = "walk", "people", False


class PersonAdmin(admin.ModelAdmin):
    list_display, search_fields, ordering = ("id", "name", "email"), ("name",), ("name",)


class ThingAdmin(admin.ModelAdmin):
    list_display, search_fields, list_filter, date_hierarchy = ("id", "title", "price", "active", "person"), ("title",), ("active",), "made"
    raw_id_fields, list_select_related = ("person",), ("person",)


def thing(number):
    meta = type("Meta", (), {"app_label": "walk", "db_table": f"thing_{number:02}", "ordering": ["-made", "title"]})
    return type(f"Thing{number:02}", (models.Model,), {
        "__module__": __name__, "Meta": meta, "title": models.CharField(max_length=40), "price": models.DecimalField(max_digits=8, decimal_places=2),
        "active": models.BooleanField(default=True), "made": models.DateTimeField(auto_now_add=True), "day": models.DateField(null=True, blank=True),
        "facts": models.JSONField(default=dict, blank=True), "person": models.ForeignKey(Person, models.PROTECT, null=True, blank=True)})


things = [thing(number) for number in range(1, 97)]
admin.site.register(Person, PersonAdmin)
for model in things:
    admin.site.register(model, ThingAdmin)
urlpatterns = [path("admin/", admin.site.urls)]

call_command("migrate", database="straight", verbosity=0)
with connections["straight"].schema_editor() as editor:
    for model in things:
        editor.create_model(model)
User.objects.db_manager("straight").create_superuser("root", "r@example.org", "x")

client = Client(raise_request_exception=False)


def page(name, code, response, text=""):
    said = response.content.decode(errors="replace")
    wrong = "" if response.status_code == code else f"{response.status_code} for {code}"
    if not wrong and text not in said:
        wrong = f"`{text}` is not there"
    if response.status_code == 500 and getattr(response, "exc_info", None):
        wrong += f" {response.exc_info[1]}".replace("\n", " ")[:200]
    print(f"{name}\t{wrong or 'ok'}")


page("log in", 302, client.post("/admin/login/?next=/admin/", {"username": "root", "password": "x"}))
page("index", 200, client.get("/admin/"), "Thing96s")
page("people", 200, client.get("/admin/walk/person/"), "1 person")
page("people, searched", 200, client.get("/admin/walk/person/?q=T"), "1 person")
page("a person", 200, client.get("/admin/walk/person/1/change/"), 'name="name"')
for model in things:
    name = model.__name__.lower()
    at, form = f"/admin/walk/{name}/", {"title": "first", "price": "1.50", "active": "on", "day": "2026-11-30", "facts": '{"a": 1}', "person": "1"}
    page(f"{name} add", 302, client.post(at + "add/", form))
    page(f"{name} list", 200, client.get(at), "first")
    page(f"{name} search", 200, client.get(at + "?q=fir&active__exact=1"), "first")
    page(f"{name} change", 302, client.post(at + "1/change/", {**form, "title": "second"}))
    page(f"{name} changed", 200, client.get(at + "1/change/"), "second")
    page(f"{name} history", 200, client.get(at + "1/history/"), "root")
    page(f"{name} delete", 302, client.post(at + "1/delete/", {"post": "yes"}))
    page(f"{name} none", 200, client.get(at), "0 thing")
